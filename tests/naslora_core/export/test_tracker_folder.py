"""Folders of SAM 2 and SAM 3 for transformers load offline, and their lines give the masks that naslora predicts."""

import numpy as np
import pytest
import torch
from PIL import Image

from naslora_core.errors import MergeError
from naslora_core.export.hf_folder import export_hf_folder
from naslora_core.export.peft_folder import export_peft_folder
from naslora_core.export.sam_checkpoint import export_sam_checkpoint
from naslora_core.merge.layers import Merged
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.layouts.recognise import recognise
from naslora_core.sam.specs import MODEL_SPECS
from tests.naslora_core.export.test_parts import photo, run  # noqa: F401

pytest.importorskip("transformers", reason="transformers comes with the extras dev and hf")


@pytest.fixture(params=["sam2_mini", "sam3_mini"])
def name(request):
    return request.param


def merged(name, folder, head):
    torch.manual_seed(6)
    sam = build_sam(name)
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    set_head(sam, head)
    folder.mkdir()
    save_merged(folder, Merged(sam), name, "exact", {"base": {"sha256": "0" * 64}})
    return folder


@pytest.mark.parametrize("scale", [None, 1.0])
def test_the_printed_lines_give_our_masks(name, scale, tmp_path, photo, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = merged(name, tmp_path / "merged", MaskHead(scale=scale))
    names = run(export_hf_folder(source, tmp_path / "hf"))
    wanted = Predictor.merged(source, "fp32", "cpu").logits([photo])[0]
    of_whole = names["masks_of"](Image.fromarray(photo), binarize=False)
    found = of_whole if scale is None else names["logits"]
    assert wanted.std() > 1e-3
    # The colour beyond an image is a whole number in a picture, and SAM 2's mean is none.
    assert np.abs(found - wanted).mean() < (0.05 if (name, scale) == ("sam2_mini", None) else 1e-5) * wanted.std()


def test_the_folder_returns_as_it_went(name, tmp_path):
    source = merged(name, tmp_path / "merged", MaskHead())
    export_hf_folder(source, tmp_path / "hf")
    found = recognise(tmp_path / "hf")
    ours = load_merged(source).state_dict()
    assert found.size == name
    assert found.weights.keys() == ours.keys()
    assert all(torch.equal(value, ours[key]) for key, value in found.weights.items())


def test_no_lora_for_peft_is_written(name, tmp_path):
    source = merged(name, tmp_path / "merged", MaskHead())
    with pytest.raises(MergeError, match=f"is a {name}, and a LoRA for PEFT .* use naslora export hf"):
        export_peft_folder(source, tmp_path / "lora", "transformers")


def test_the_authors_names_return_as_they_went(tmp_path, monkeypatch):
    monkeypatch.setitem(MODEL_SPECS, "sam2_hiera_tiny", MODEL_SPECS["sam2_mini"])
    monkeypatch.delitem(MODEL_SPECS, "sam2_mini")
    source = merged("sam2_hiera_tiny", tmp_path / "merged", MaskHead())
    lines = export_sam_checkpoint(source, tmp_path / "leaves.pt")
    compile(lines, "lines", "exec")
    assert "sam2.1_hiera_t.yaml" in lines
    found = recognise(tmp_path / "leaves.pt")
    # The authors have one encoding of positions for images and prompts, which the copy for prompts has to give way to.
    ours = load_merged(source).state_dict()
    assert (found.layout, found.size) == ("facebookresearch/sam2", "sam2_hiera_tiny")
    assert {key for key, value in found.weights.items() if not torch.equal(value, ours[key])} <= {
        "prompt_encoder.shared_embedding.positional_embedding"
    }


def test_a_size_that_the_authors_do_not_have_is_refused(name, tmp_path):
    source = merged(name, tmp_path / "merged", MaskHead())
    with pytest.raises(MergeError, match=f"is a {name}, of which the authors' package has no size; use naslora export"):
        export_sam_checkpoint(source, tmp_path / "leaves.pt")
