"""LoRA by PEFT on segment-anything's own modules, in the training loop that one writes around them."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from torch.utils.checkpoint import checkpoint

from benchmarks.against.rivals.official_sam import build_official, low_res_masks


def peft_training_step(
    name: str,
    image_size: int,
    batch_size: int,
    target_modules: Sequence[str],
    precision: str = "bf16",
    gradient_checkpointing: bool = False,
    rank: int = 8,
    lora_alpha: int = 16,
) -> Callable[[], None]:
    """Return a function that takes one step on the same random images: encoder by LoRA, mask decoder fully.

    Args:
        name: of a model.
        image_size: in pixels.
        batch_size: images in a step.
        target_modules: ends of the names of the encoder's layers that get LoRA.
        precision: "fp32", or "bf16" by autocast.
        gradient_checkpointing: run every block of the encoder again in the backward pass.
        rank: of LoRA.
        lora_alpha: of LoRA.
    """
    sam = build_official(name, image_size).requires_grad_(False)
    inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=lora_alpha, target_modules=list(target_modules)), sam.image_encoder
    )
    sam.mask_decoder.requires_grad_(True)
    # Nothing is asked of the heads that predict quality.
    sam.mask_decoder.iou_prediction_head.requires_grad_(False)
    sam.train()
    if gradient_checkpointing:
        for block in sam.image_encoder.blocks:
            block.forward = _recomputed(block.forward)
    trained = [parameter for parameter in sam.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch_size, 3, image_size, image_size)).float()
    masks = torch.randint(0, 2, (batch_size, 1, image_size, image_size)).float()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = low_res_masks(sam, (images - sam.pixel_mean) / sam.pixel_std)
        logits = F.interpolate(found, size=images.shape[-2:], mode="bilinear", align_corners=False)
        _ce_dice(logits, masks).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return step


def _recomputed(forward: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tokens: checkpoint(forward, tokens, use_reentrant=False)


def _ce_dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    chance = logits.sigmoid()
    shared = (chance * masks).sum(dim=(1, 2, 3))
    dice = (2 * shared + 1) / (chance.sum(dim=(1, 2, 3)) + masks.sum(dim=(1, 2, 3)) + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + (1 - dice).mean()
