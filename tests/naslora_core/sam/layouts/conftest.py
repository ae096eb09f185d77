"""A small SAM with relative positions, in the real packages and in ours."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from naslora_core.config import ModelConfig
from naslora_core.sam.build import build_sam, normalise
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.layouts import LAYOUTS
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.specs import MODEL_SPECS, ViTSpec

SMALL = ViTSpec(
    image_size=128,
    multiple_of=16,
    encoder_width=32,
    encoder_depth=3,
    encoder_heads=2,
    window_size=5,
    global_attn_indexes=(1,),
    use_rel_pos=True,
    embed_channels=16,
    decoder_heads=2,
    decoder_mlp_dim=24,
    iou_head_hidden_dim=16,
    files="sam_vit_b_*.pth",
)


@pytest.fixture(autouse=True)
def _small_vit_b(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODEL_SPECS, "vit_b", SMALL)


@pytest.fixture
def images() -> Tensor:
    """Two images of noise, (2, 3, 128, 128) uint8."""
    return torch.randint(0, 256, (2, 3, 128, 128), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@torch.no_grad()
def move(module: nn.Module) -> nn.Module:
    """Move every weight, so that none is zero or one as packages initialise them."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return module.eval()


@pytest.fixture
def official() -> Sam:
    """A SAM of segment-anything's own classes."""
    torch.manual_seed(1)
    encoder = ImageEncoderViT(
        img_size=128, patch_size=16, embed_dim=32, depth=3, num_heads=2, out_chans=16, use_rel_pos=True,
        window_size=5, global_attn_indexes=(1,), norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(embed_dim=16, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=16)
    decoder = MaskDecoder(
        transformer_dim=16, transformer=TwoWayTransformer(depth=2, embedding_dim=16, mlp_dim=24, num_heads=2),
        iou_head_hidden_dim=16,
    )  # fmt: skip
    moved = move(Sam(encoder, prompts, decoder))
    assert isinstance(moved, Sam)
    return moved


@torch.no_grad()
def official_outputs(sam: Sam, images: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and low-resolution logits of a SAM without prompts, by its own modules."""
    embeddings = sam.image_encoder(normalise(sam, images))
    sparse, dense = sam.prompt_encoder(points=None, boxes=None, masks=None)
    masks = [
        sam.mask_decoder(one[None], sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)[0]
        for one in embeddings
    ]
    return embeddings, torch.cat(masks)


@pytest.fixture
def load() -> Callable[[Path], Sam]:
    """Return a function that loads a checkpoint as the small vit_b."""
    return lambda path: load_base(ModelConfig(name="vit_b", checkpoint=path, image_size="native", precision="fp32"))


@torch.no_grad()
def assert_same(sam: Sam, images: Tensor, embeddings: Tensor, logits: Tensor) -> None:
    """Check that ours gives the embeddings and logits of a real package; those vary by a hundred tolerances."""
    assert min(embeddings.std(), logits.std()) > 1e-2
    torch.testing.assert_close(sam.image_encoder(normalise(sam, images)), embeddings, rtol=0, atol=1e-4)
    torch.testing.assert_close(PromptFreeSegmenter(sam).eval()(images), logits, rtol=0, atol=1e-4)


def left_out_of_videos(theirs: str, ours: str) -> tuple[str, ...]:
    """Convert one of transformers' models of videos at full size, without memory for its weights.

    Returns:
        What was left out, in words, after a check that the names and shapes kept are those of our model.
    """
    transformers = pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")
    with torch.device("meta"):
        weights = getattr(transformers, theirs)(getattr(transformers, theirs.replace("Model", "Config"))()).state_dict()
        wanted = build_sam(ours).state_dict()
    (layout,) = (LAYOUTS[name] for name in LAYOUTS if LAYOUTS[name].matches(weights.keys()))
    converted = layout.convert(weights)
    assert {key: value.shape for key, value in converted.weights.items()} == {k: v.shape for k, v in wanted.items()}
    return converted.left_out
