"""ONNX files as other programs take them: checked strictly, quantised, and used by the lines that are printed."""

import json
import os
import subprocess
import sys
from code import InteractiveConsole

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import quantize_dynamic

from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.errors import DataError, ExportError
from naslora_core.export import onnx_file, onnx_quantised
from naslora_core.export.onnx_certificate import OnnxCertificate, compare, most_probable
from naslora_core.export.onnx_file import export_onnx, supported_opsets
from naslora_core.export.onnx_quantised import certificate_file, export_quantised
from naslora_core.export.usage import graph_lines, sam_lines
from naslora_core.merge.fold import fold
from naslora_core.sam.head import MaskHead
from tests.naslora_core.export.test_graph import SIZE, _small_sam, expected, save_small, stripes  # noqa: F401
from tests.pipelines.conftest import write_domain


@pytest.fixture(scope="module")
def merged(tmp_path_factory, _small_sam):  # noqa: F811
    """A folded model of three classes."""
    return save_small(tmp_path_factory.mktemp("folded"), fold, "nas_lora", 3)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Prepared images of the model's size, three of them to validate on."""
    root = tmp_path_factory.mktemp("prepared")
    write_domain(root / "data", seed=3)
    preprocess(read_dataset(root / "data"), SIZE, root / "arrays", workers=1)
    return root / "arrays"


@pytest.fixture(scope="module")
def written(merged):
    """Its ONNX file, and what the export said."""
    target = merged.parent / "it's mine" / "leaves.onnx"
    return target, export_onnx(merged, target)


@pytest.fixture(scope="module", params=["fp16", "int8"])
def quantised(request, merged, arrays):
    """Its quantised file, and what the export said; logits of random weights are all near 0, and masks a lottery."""
    target = merged.parent / f"leaves.{request.param}.onnx"
    return request.param, target, export_quantised(merged, target, arrays, request.param, least_iou=0)


def strictly_valid(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model


def test_a_file_is_valid_and_other_tools_can_change_its_weights(written, tmp_path):
    model = strictly_valid(written[0])
    assert not model.graph.value_info
    # The quantiser transposes weights of Gemm nodes.
    assert any(node.op_type == "Gemm" for node in model.graph.node)
    quantize_dynamic(written[0], tmp_path / "int8.onnx", op_types_to_quantize=["MatMul", "Gemm"])
    strictly_valid(tmp_path / "int8.onnx")
    low, _ = onnxruntime.InferenceSession(tmp_path / "int8.onnx").run(None, {"images": stripes(1)})
    assert np.isfinite(low).all()


def test_a_quantised_file_is_valid_smaller_and_takes_and_gives_what_the_other_does(quantised, written, merged):
    kind, file, _ = quantised
    model = strictly_valid(file)
    assert {entry.domain for entry in model.opset_import} == {node.domain for node in model.graph.node}
    assert file.stat().st_size < written[0].stat().st_size
    ours, theirs = (onnxruntime.InferenceSession(path) for path in (written[0], file))
    for ends in ("get_inputs", "get_outputs"):
        described = [[(end.name, end.type) for end in getattr(one, ends)()] for one in (ours, theirs)]
        assert described[0] == described[1]
    low, _ = expected(merged, stripes(3))
    found, _ = theirs.run(None, {"images": stripes(3)})
    assert 0 < np.abs(found - low).max() < 0.05 * np.abs(low).max()
    # Weights of matrix products, and they alone, are in 8 bits.
    products = {node.op_type for node in model.graph.node} & {"MatMulInteger", "ConvInteger"}
    assert products == ({"MatMulInteger"} if kind == "int8" else set())


def test_a_certificate_lies_beside_a_quantised_file_and_agrees_with_its_metadata(quantised):
    kind, file, exported = quantised
    notes = json.loads(certificate_file(file).read_text(encoding="utf-8"))
    assert notes == exported.certificate.notes()
    assert (notes["quantise"], notes["images"], notes["least_mask_iou_mean"]) == (kind, 3, 0)
    assert notes["mask_iou_mean"] <= 1
    assert notes["mask_iou_worst"] <= notes["mask_iou_mean"]
    assert notes["bytes"][kind] == file.stat().st_size
    about = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert (about["quantise"], about["mask_iou_mean"]) == (kind, f"{notes['mask_iou_mean']:.4f}")
    assert about["domain"] == "leaves"
    assert "largest_logit_difference" in about
    assert f"mean {notes['mask_iou_mean']:.4f}" in exported.certificate.summary()


def test_a_file_whose_masks_differ_takes_no_place_and_leaves_the_earlier_one(merged, arrays, tmp_path, monkeypatch):
    target = tmp_path / "leaves.onnx"
    target.write_text("an earlier export")
    asked = []
    monkeypatch.setattr(onnx_quantised, "compare", lambda *given: asked.append(given[-1]) or certificate(0.9))
    with pytest.raises(ExportError, match="leaves.onnx is not written: its masks have a mean IoU of 0.9000 with"):
        export_quantised(merged, target, arrays, "int8")
    assert target.read_text() == "an earlier export"
    assert list(tmp_path.iterdir()) == [target]
    assert asked == [onnx_quantised.LEAST_IOU["int8"]]


def certificate(iou, with_masks=3):
    return OnnxCertificate(
        quantise="int8", images=3, images_with_masks=with_masks, mask_iou_mean=iou, mask_iou_worst=iou, worst_image="a",
        least_mask_iou_mean=0.95, class_agreement=1, max_logit_difference=0, relative_logit_difference=0,
    )  # fmt: skip


def test_masks_below_what_was_asked_for_or_none_at_all_are_rejected():
    assert certificate(0.95).rejected() == ""
    assert "lower --min-iou" in certificate(0.9499).rejected()
    assert "lower --min-iou" in certificate(float("nan")).rejected()
    assert "finds an object on any of 3 validation images" in certificate(0.0, with_masks=0).rejected()


class Drawn:
    """Stands for a file that finds the same probabilities in every image."""

    def __init__(self, probabilities):
        self._probabilities = np.asarray(probabilities, np.float32)[None]

    def run(self, names, images):
        assert images["images"].shape == (1, 3, 256, 256)
        return [self._probabilities[..., ::4, ::4], self._probabilities]


def test_iou_is_of_what_either_file_finds_inside_the_image(prepared):
    ours, theirs = np.zeros((2, 256, 256)), np.zeros((2, 256, 256))
    ours[0, :8, :10], theirs[0, :8, :8] = 0.9, 0.9
    ours[1, 100:110, :10], theirs[1, 100:110, :10] = 0.8, 0.8
    # Padding of the last image, and a probability that is not the largest.
    ours[0, 210:, :], theirs[1, :50, 200:] = 0.9, 0.4
    found = compare(Drawn(ours), Drawn(theirs), prepared, "int8", 0.5)
    assert found.images == found.images_with_masks == 5
    padded = (0.8 + 1) / 2
    other = (64 / (80 + 46 * 256) + 1) / 2
    assert found.mask_iou_mean == pytest.approx((4 * other + padded) / 5)
    assert found.mask_iou_worst == pytest.approx(other)
    assert found.worst_image == "image0"


def test_the_most_probable_class_needs_more_than_the_background():
    probabilities = np.array([[[0.5, 0.51, 0.3, 0.3]], [[0.0, 0.0, 0.35, 0.45]]], np.float32)
    np.testing.assert_array_equal(most_probable(probabilities), [[0, 1, 0, 2]])


def test_images_of_another_size_or_view_are_refused_before_the_work(merged, arrays, tmp_path, monkeypatch):
    write_domain(tmp_path / "data", seed=3)
    preprocess(read_dataset(tmp_path / "data"), SIZE // 2, tmp_path / "small", workers=1)
    preprocess(read_dataset(tmp_path / "data"), SIZE, tmp_path / "crops", workers=1, view="crops")
    monkeypatch.setattr(torch.onnx, "export", None)
    for folder, message in (
        ("small", "has images of 48 px a side, and the model takes 96"),
        ("crops", "made for crops"),
    ):
        with pytest.raises(DataError, match=message):
            export_quantised(merged, tmp_path / "leaves.onnx", tmp_path / folder, "fp16")


@pytest.mark.parametrize("opset", [0, 17, 26, 99])
def test_an_opset_that_cannot_be_written_is_refused_before_the_work(opset, tmp_path, capfd):
    with pytest.raises(ExportError, match=rf"opset {opset} was asked for.*writes 18 to 2\d; give one of these"):
        export_onnx(tmp_path / "missing", tmp_path / "leaves.onnx", opset)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_without_word_of_the_converters_last_opset_only_the_first_is_offered(monkeypatch):
    from onnxscript.version_converter import _version_converter

    assert supported_opsets()[-1] > onnx_file.DEFAULT_OPSET
    monkeypatch.delattr(_version_converter, "SUPPORTED_MAX_ONNX_OPSET")
    assert list(supported_opsets()) == [onnx_file.DEFAULT_OPSET]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_the_last_opset_is_written_and_quantised(kind, merged, arrays, tmp_path):
    # Its attention is a node of its own, which onnxruntime's quantiser would confuse with another one.
    last = supported_opsets()[-1]
    export_quantised(merged, tmp_path / "leaves.onnx", arrays, kind, last, 0)
    model = strictly_valid(tmp_path / "leaves.onnx")
    assert {entry.version for entry in model.opset_import if not entry.domain} == {last}
    assert any(node.op_type == "Attention" for node in model.graph.node)


def pasted(lines, folder, interactive):
    """Run lines as they stand in a Python of its own that knows nothing of naslora, and return its complaints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    options = ["-i", "-q"] if interactive else []
    done = subprocess.run(
        [sys.executable, *options, "-"], input=f"{lines}\nprint(probabilities.shape)\n", cwd=folder, text=True,
        capture_output=True, env=environment, timeout=120,
    )  # fmt: skip
    assert f"(1, 3, {SIZE}, {SIZE})" in done.stdout, done.stderr
    return done.stderr


@pytest.mark.parametrize("interactive", [False, True])
def test_printed_lines_run_as_they_are_pasted(interactive, written, tmp_path):
    assert "Error" not in pasted(written[1].lines, tmp_path, interactive)


def test_printed_lines_of_a_quantised_file_run_as_they_are_pasted(quantised, tmp_path):
    assert "Error" not in pasted(quantised[2].lines, tmp_path, interactive=False)


@pytest.mark.parametrize("scale", [1.0, 1.6])
def test_lines_for_tiles_are_read_whole_by_an_interactive_python(scale):
    class Console(InteractiveConsole):
        def __init__(self):
            super().__init__()
            self.statements, self.refused = 0, []

        def runcode(self, code):
            self.statements += 1

        def showsyntaxerror(self, *_, **__):
            self.refused.append(sys.exc_info()[1])

    for lines in (graph_lines(MaskHead(2, "off", scale), SIZE, "logits"), sam_lines(MaskHead(1, "off", scale), SIZE)):
        console = Console()
        for line in [*lines.splitlines(), ""]:
            console.push(line)
        assert console.refused == []
        assert console.statements > 10
