import json

import pytest
import torch
from segment_anything import SamPredictor

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import describe_base
from naslora_core.errors import MergeError
from naslora_core.export.peft_folder import FILES, PROCESSOR_FILE, export_peft_folder
from naslora_core.merge.calibrated import calibrate
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import read_weights


@pytest.fixture
def save(model, adapter, search, tmp_path):
    """Return a function that saves a merge of a moved adapter and decoder and returns its folder."""

    def save(merge, mode, method, **changes):
        torch.manual_seed(5)
        sam = load_base(model)
        settings = search.model_copy(update=changes)
        layers = add_adapters(sam, adapter.model_copy(update={"method": method}), settings, seed=1)
        for layer in layers.values():
            torch.nn.init.normal_(layer.lora_B, std=0.05)
        torch.nn.init.normal_(sam.mask_decoder.mask_tokens.weight)
        folder = tmp_path / "merged"
        folder.mkdir()
        save_merged(folder, merge(sam), "sam_tiny", mode, {"base": dict(describe_base(model))})
        return folder

    return save


def logits(sam, images):
    with torch.no_grad():
        return PromptFreeSegmenter(sam)(images[:1])


@pytest.mark.parametrize("mode", ["exact", "calibrated", "ranks that differ"])
def test_peft_puts_the_exported_folder_onto_the_base_and_gives_the_merged_masks(
    save, model, images, prepared, tmp_path, monkeypatch, mode
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    peft = pytest.importorskip("peft", reason="peft comes with the extras dev and peft")
    if mode == "exact":
        merged = save(exact, mode, "lora")
    elif mode == "ranks that differ":
        space = ("skip_connect", "singular_values")
        merged = save(exact, "exact", "nas_lora", budget=1.0, alphas="random", space=space, max_parameters=9000)
        assert len({len(value) for key, value in read_weights(merged / "lora.safetensors").items() if "A" in key}) > 1
    else:
        merged = save(lambda sam: calibrate(sam, prepared, 2, 1e-3), mode, "nas_lora")
    export_peft_folder(merged, tmp_path / "peft")
    loaded = peft.PeftModel.from_pretrained(load_base(model), str(tmp_path / "peft")).base_model.model.eval()
    expected = logits(load_merged(merged), images)
    assert (expected - logits(load_base(model), images)).abs().max() > 0.1
    # The update is added to the layer's output here, and was added to its weight there.
    torch.testing.assert_close(logits(loaded, images), expected, rtol=1e-3, atol=1e-3)
    predictor = SamPredictor(loaded)
    predictor.set_image(images[0].permute(1, 2, 0).numpy())
    low_res = torch.from_numpy(predictor.predict(multimask_output=False)[2])
    torch.testing.assert_close(low_res, expected[0], rtol=1e-3, atol=1e-3)


def test_the_folder_describes_itself(save, model, tmp_path):
    lines = export_peft_folder(save(exact, "exact", "lora"), tmp_path / "peft")
    assert {path.name for path in (tmp_path / "peft").iterdir()} == set(FILES) - {PROCESSOR_FILE}
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 4
    assert len(config["target_modules"]) == 8
    card = (tmp_path / "peft" / "README.md").read_text()
    assert lines in card
    assert describe_base(model)["sha256"] in card


def test_a_folded_merge_is_refused_with_the_reason(save, tmp_path):
    with pytest.raises(MergeError, match="merged as fold, which keeps a convolution"):
        export_peft_folder(save(fold, "fold", "nas_lora"), tmp_path / "peft")
    assert not (tmp_path / "peft").exists()


def test_a_merge_without_an_adapter_is_refused_with_the_reason(save, tmp_path):
    with pytest.raises(MergeError, match="lora.safetensors is empty"):
        export_peft_folder(save(exact, "exact", "none"), tmp_path / "peft")
