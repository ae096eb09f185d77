import ast

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import describe_base
from naslora_core.errors import MergeError
from naslora_core.export.hf_folder import export_hf_folder
from naslora_core.export.peft_folder import export_peft_folder
from naslora_core.export.sam_checkpoint import export_sam_checkpoint
from naslora_core.merge.exact import exact
from naslora_core.merge.fold import fold
from naslora_core.merge.layers import Merged
from naslora_core.merge.merged import save_merged
from naslora_core.predict import Predictor
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.layouts.recognise import recognise


@pytest.fixture
def save(model, adapter, search, tmp_path):
    """Return a function that saves a merge of a moved adapter and returns its folder."""

    def save(merge=exact, method="lora", classes=1, config=model):
        torch.manual_seed(5)
        sam = load_base(config)
        set_class_count(sam, classes)
        layers = add_adapters(sam, adapter.model_copy(update={"method": method}), search, seed=1)
        for layer in layers.values():
            torch.nn.init.normal_(layer.lora_B, std=0.05)
        folder = tmp_path / "merged"
        folder.mkdir()
        save_merged(folder, merge(sam), config.name, merge.__name__, {"base": dict(describe_base(config))})
        return folder

    return save


def masks_of_sam_predictor(sam, image):
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    return predictor.predict(multimask_output=False)[0][0]


def scene(height, width):
    """Bright stripes of several widths on noise."""
    rng = np.random.default_rng(8)
    image = rng.integers(0, 120, size=(height, width, 3))
    image[:, np.arange(width) % 70 < 30] += 100
    return image.astype(np.uint8)


def balanced(predict, image):
    """The median of the probabilities, so that a mask cut there has an edge to disagree about."""
    return float(np.median(predict([image])[0]))


@pytest.mark.parametrize("shape", [(256, 256), (256, 170), (90, 340)])
def test_sam_predictor_gives_our_masks_from_the_exported_checkpoint(save, tmp_path, shape):
    folder = save()
    export_sam_checkpoint(folder, tmp_path / "out" / "leaves.pth")
    sam = build_sam("sam_tiny")
    sam.load_state_dict(torch.load(tmp_path / "out" / "leaves.pth", weights_only=True), strict=True)
    image, predict = scene(*shape), Predictor.merged(folder, "fp32")
    threshold = balanced(predict, image)
    sam.mask_threshold = float(np.log(threshold / (1 - threshold)))
    ours = predict([image])[0] > threshold
    assert 0.2 < ours.mean() < 0.8
    theirs = masks_of_sam_predictor(sam, image)
    # The two decoders multiply in another order, so a pixel on the very threshold may fall to either side.
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.999


def test_upstreams_registry_loads_an_exported_vit_b_strictly(tmp_path):
    torch.manual_seed(2)
    with torch.device("meta"):
        sam = build_sam("vit_b")
    sam = sam.to_empty(device="cpu")
    for tensor in sam.state_dict().values():
        tensor.normal_(std=0.02)
    save_merged(tmp_path, Merged(sam), "vit_b", "exact", {"base": {"sha256": "0" * 64}})
    lines = export_sam_checkpoint(tmp_path, tmp_path / "vit_b.pth")
    assert f'sam_model_registry["vit_b"](checkpoint="{tmp_path / "vit_b.pth"}")' in lines
    loaded = sam_model_registry["vit_b"](checkpoint=str(tmp_path / "vit_b.pth"))
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in sam.state_dict().items())


def test_a_merge_that_sam_cannot_hold_is_refused_with_the_reason(save, model, tmp_path):
    with pytest.raises(MergeError, match="merged as fold, which keeps a convolution beside 8 layers"):
        export_sam_checkpoint(save(fold, method="nas_lora"), tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


def test_a_model_of_several_classes_is_refused(save, tmp_path):
    with pytest.raises(MergeError, match="tells 3 classes apart"):
        export_sam_checkpoint(save(classes=3), tmp_path / "out.pth")


def test_a_model_of_another_image_size_is_refused(save, model, tmp_path):
    small = model.model_copy(update={"image_size": 192})
    with pytest.raises(MergeError, match="sees 192 px.*256 px; train with model.image_size native"):
        export_sam_checkpoint(save(config=small), tmp_path / "out.pth")


def test_an_exported_mobile_sam_has_the_authors_names_and_comes_back_bit_for_bit(tmp_path):
    pytest.importorskip("timm", reason="timm comes with the extras dev and hf")
    torch.manual_seed(3)
    sam = build_sam("mobile_sam")
    folder = tmp_path / "merged"
    folder.mkdir()
    save_merged(folder, Merged(sam), "mobile_sam", "exact", {"base": {"sha256": "0" * 64}})
    lines = export_sam_checkpoint(folder, tmp_path / "leaves.pt")
    assert lines.startswith("from mobile_sam import SamPredictor, sam_model_registry\n")
    assert 'sam_model_registry["vit_t"]' in lines
    assert len(torch.load(tmp_path / "leaves.pt", weights_only=True)) == 439
    found = recognise(tmp_path / "leaves.pt")
    assert (found.size, found.layout) == ("mobile_sam", "MobileSAM")
    assert found.weights.keys() == sam.state_dict().keys()
    assert all(torch.equal(found.weights[key], value) for key, value in sam.state_dict().items())


@pytest.mark.parametrize("export", [export_sam_checkpoint, export_hf_folder, export_peft_folder])
def test_the_lines_name_a_path_with_quotes_as_python_reads_it(save, tmp_path, export):
    output = tmp_path / 'leaves "of" Ärzte\\1.pth'
    lines = ast.parse(export(save(), output))
    assert str(output) in {node.value for node in ast.walk(lines) if isinstance(node, ast.Constant)}
