"""Every kind of method on every family beside the original SAM: it learns, is saved, loaded and merged."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import load_adapted, save_adapted
from naslora_core.config import ModelConfig
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights

pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")

# Method, its options, and the merge that gives the same; None where the branch is no convolution.
KINDS = {
    "neck": ("neck", {}, exact),
    "bitfit": ("bitfit", {}, exact),
    "full": ("full", {}, exact),
    "nas_pc_lora": ("nas_pc_lora", {}, fold),
    "conv_lora": ("conv_lora", {"experts": 2}, None),
    "peft:lora": ("peft:lora", {}, exact),
    "dora": ("peft:lora", {"use_dora": True}, exact),
}


@pytest.fixture(scope="module", params=["mobile_sam_mini", "sam2_mini", "sam3_mini"])
def base(request, tmp_path_factory) -> ModelConfig:
    """A miniature with random weights on disk, at a small image size."""
    torch.manual_seed(8)
    path = tmp_path_factory.mktemp("base") / "weights.safetensors"
    sam = build_sam(request.param)
    # SAM 3's fresh weights are so small that nothing learns behind them.
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    save_weights(path, sam.state_dict(), {})
    side = 84 if request.param == "sam3_mini" else 96
    return ModelConfig(name=request.param, checkpoint=path, image_size=side, precision="fp32")


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_learns_is_saved_loaded_and_merged(kind, base, adapter, search, tmp_path):
    method, options, merge = KINDS[kind]
    if method.startswith("peft:"):
        pytest.importorskip("peft", reason="peft comes with the extras dev and peft")
    adapter = adapter.model_copy(update={"method": method, "options": options, "target_modules": "auto"})
    sam = load_base(base)
    side = sam.image_encoder.img_size
    images = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    adapters = add_adapters(sam, adapter, search, seed=1)
    segmenter = PromptFreeSegmenter(sam)
    untrained = segmenter.eval()(images).detach()
    learning = {name: value for name, value in sam.image_encoder.named_parameters() if value.requires_grad}
    assert learning
    optimizer = torch.optim.SGD(learning.values(), lr=0.1)
    for _ in range(2):
        segmenter.train()(images).square().mean().backward()
        optimizer.step()
    segmenter.eval()
    with torch.no_grad():
        wanted = segmenter(images)
        assert not torch.equal(wanted, untrained)
        save_adapted(tmp_path, segmenter, adapters, base, adapter, search, seed=1)
        loaded, _ = load_adapted(tmp_path, base)
        assert torch.equal(loaded.eval()(images), wanted)
        if merge is not None:
            torch.testing.assert_close(PromptFreeSegmenter(merge(loaded.sam).sam)(images), wanted, rtol=0, atol=1e-4)
