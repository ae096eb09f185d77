"""The models that are compared: segment_anything's own and this project's, with the same weights."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling.image_encoder import Block
from torch import Tensor, nn

from naslora_core.adapted.attach import add_adapters
from naslora_core.config import load_params
from naslora_core.sam.build import Sam, build_sam, normalise
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import load_strictly, read_weights
from naslora_core.training.losses import make_loss

Run = Callable[[], dict[str, Tensor]]

OFFICIAL = "official fp32"
RECOMPUTING = "gradient checkpointing"
PARAMS = Path(__file__).parents[1] / "params.yaml"


@dataclass(frozen=True)
class Case:
    """What to build: a model, the side of its input in pixels, weights if there are any, images per step."""

    model: str
    image_size: int
    checkpoint: Path | None
    batch_size: int


def variants(precision: str, train: bool) -> list[str]:
    """Return the names of what is compared with `OFFICIAL`; the last word of each is its precision."""
    precisions = ["fp32", "bf16"] if precision == "both" else [precision]
    recomputing = [f"ours, {RECOMPUTING}, {precisions[-1]}"] if train else []
    return [f"ours {precision}" for precision in precisions] + recomputing


def build(case: Case, variant: str) -> Sam:
    """Build one variant; all have the same weights, random ones unless there is a checkpoint."""
    torch.manual_seed(0)
    sam = build_sam(case.model, case.image_size)
    if case.checkpoint:
        load_strictly(sam, read_weights(case.checkpoint), case.checkpoint)
    else:
        for key, parameter in sam.named_parameters():
            if "rel_pos" in key:  # zero at first, which would hide them
                nn.init.normal_(parameter, std=0.1)
    sam.image_encoder.gradient_checkpointing = RECOMPUTING in variant
    return as_official(sam) if variant == OFFICIAL else sam


def as_official(sam: Sam) -> Sam:
    """Return a copy whose image encoder is segment_anything's, module for module."""
    official = deepcopy(sam)
    encoder = official.image_encoder
    for place, ours in enumerate(encoder.blocks):
        side = ours.window_size or encoder.img_size // encoder.patch_embed.proj.kernel_size[0]
        block = Block(
            ours.norm1.normalized_shape[0],
            ours.attn.num_heads,
            norm_layer=partial(nn.LayerNorm, eps=ours.norm1.eps),
            use_rel_pos=ours.attn.use_rel_pos,
            window_size=ours.window_size,
            input_size=(side, side),
        )
        block.load_state_dict(ours.state_dict())
        encoder.blocks[place] = block
    encoder.patch_embed.proj.to(memory_format=torch.contiguous_format)
    return official


def inference(case: Case, variant: str, image: Tensor) -> Run:
    """Return a function that segments (1, 3, S, S) and returns the embeddings and the mask logits."""
    sam = build(case, variant).requires_grad_(False)

    @torch.no_grad()
    def run() -> dict[str, Tensor]:
        with autocast(variant.split()[-1], image.device):
            embeddings = sam.image_encoder(normalise(sam, image))
            sparse, dense = sam.prompt_encoder(None, None, None)
            masks, _ = sam.mask_decoder(embeddings, sam.prompt_encoder.get_dense_pe(), sparse, dense, False)
        return {"embeddings": embeddings.float(), "low_res_masks": masks.float()}

    return run


def training_step(case: Case, variant: str, image: Tensor) -> Run:
    """Return a function that trains adapters and mask decoder for one step on copies of (1, 3, S, S)."""
    sam = build(case, variant)
    # The paper's cell, instead of the search that params.yaml comes with.
    params = load_params(PARAMS, ["search.budget=none", "search.space=linear", "adapter.target_modules=[attn.qkv]"])
    add_adapters(sam, params.adapter, params.search, params.seed)
    segmenter = PromptFreeSegmenter(sam)
    trained = [parameter for parameter in segmenter.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    loss_of = make_loss(params.train, segmenter.classes)
    images = image.expand(case.batch_size, -1, -1, -1)
    masks = (images[:, :1] > 127).float()

    def run() -> dict[str, Tensor]:
        with autocast(variant.split()[-1], image.device):
            low_res_masks = segmenter(images)
        loss = loss_of(segmenter.upscale(low_res_masks), masks, torch.ones_like(masks))
        segmenter.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        return {"loss": loss.detach()}

    return run
