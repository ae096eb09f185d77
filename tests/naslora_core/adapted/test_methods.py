"""Every kind of method, from a training of one epoch over a saved folder to a merged model."""

import pytest
import torch

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import load_adapted, save_adapted
from naslora_core.adapted.switching import SwitchableSam
from naslora_core.config import MergeConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import CheckpointError, MergeError
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.phases import AlternatingPhases

KINDS = {
    "neck": ("neck", {}, "exact"),
    "bitfit": ("bitfit", {}, "exact"),
    "full": ("full", {}, "exact"),
    "conv_lora": ("conv_lora", {"experts": 2}, "calibrated"),
    "pissa": ("peft:lora", {"init_lora_weights": "pissa"}, "exact"),
    # Random weights have no clear directions, which would be looked for very long.
    "eva": ("peft:lora", {"init_lora_weights": "eva", "eva_config": {"tau": 0.9}}, "exact"),
    "loraga": ("peft:lora", {"init_lora_weights": "lora_ga"}, "exact"),
    "adalora": ("peft:adalora", {}, "exact"),
}
SIDE = 64
MERGE = MergeConfig(mode="auto", max_metric_drop=1, calibration_images=2, ridge=1e-3)


@pytest.fixture
def small(model):
    return model.model_copy(update={"image_size": SIDE})


@pytest.fixture
def data(prepared) -> PreparedData:
    """The discs of `prepared`, at a quarter of the size."""
    sizes = [(height // 4, width // 4) for height, width in prepared.input_sizes]
    return PreparedData(prepared.images[:, ::4, ::4], prepared.masks[:, ::4, ::4], sizes, sizes, prepared.names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_trains_is_saved_loaded_and_merged(kind, small, adapter, search, train, data, images, tmp_path):
    method, options, expected = KINDS[kind]
    if method.startswith("peft:"):
        pytest.importorskip("peft")
    adapter = adapter.model_copy(update={"method": method, "options": options})
    train = train.model_copy(update={"epochs": 1, "augment": False})
    images = images[..., ::4, ::4]
    base = load_base(small)
    sam = load_base(small)
    adapters = add_adapters(sam, adapter, search, seed=1)
    segmenter = PromptFreeSegmenter(sam)
    phases = AlternatingPhases(segmenter, adapters, data, train, search, "fp32", 1)
    assert len(SearchAndTrain(phases, data).run().epochs) == 1
    save_adapted(tmp_path, segmenter, adapters, small, adapter, search, seed=1)
    changed = [
        key
        for key, value in base.state_dict().items()
        if key.startswith("image_encoder") and key in sam.state_dict() and not torch.equal(value, sam.state_dict()[key])
    ]
    assert bool(changed) == (not adapters)
    assert all("neck" in key for key in changed) or method != "neck"
    assert all(key.endswith("bias") for key in changed) or method != "bitfit"

    loaded, _ = load_adapted(tmp_path, small)
    choice = choose(loaded.sam, data, MergeContext(data, MERGE))
    assert choice.mode == expected
    save_merged(tmp_path, choice.merged, "sam_tiny", choice.mode, {})
    with torch.no_grad():
        wanted = segmenter(images)
        assert not torch.equal(wanted, PromptFreeSegmenter(base)(images))
        assert torch.equal(loaded(images), wanted)
        if expected == "exact":
            merged = PromptFreeSegmenter(load_merged(tmp_path))(images)
            torch.testing.assert_close(merged, wanted, rtol=1e-3, atol=1e-3)
    assert load_merged(tmp_path).state_dict().keys() == base.state_dict().keys()


def test_a_fold_needs_two_projections(model, adapter, search):
    pytest.importorskip("peft")
    sam = load_base(model)
    add_adapters(sam, adapter.model_copy(update={"method": "peft:shira"}), search, seed=1)
    with pytest.raises(MergeError, match="merge.mode fold needs lora_A and lora_B.*PeftAdapter.*merge.mode exact"):
        fold(sam)


def test_what_changes_the_base_takes_no_turns_with_other_adapters(model, adapter, search, tmp_path):
    adapter = adapter.model_copy(update={"method": "neck"})
    sam = load_base(model)
    add_adapters(sam, adapter, search, seed=1)
    save_adapted(tmp_path, PromptFreeSegmenter(sam), {}, model, adapter, search, seed=1)
    with pytest.raises(CheckpointError, match="adapter.method neck, which changes layers that all adapters"):
        SwitchableSam(model).load_adapter("neck", tmp_path)
