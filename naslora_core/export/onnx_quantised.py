"""Export a merged model as an ONNX file in half precision or with 8-bit weights, with a certificate of its masks."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from naslora_core.data.prepared.prepared import PreparedData, load_prepared
from naslora_core.errors import DataError, ExportError
from naslora_core.export.graph import Source, read_source
from naslora_core.export.onnx_certificate import OnnxCertificate, compare
from naslora_core.export.onnx_file import (
    DEFAULT_OPSET,
    check_request,
    facts,
    open_session,
    printed_lines,
    write_checked,
)
from naslora_core.files import atomic_file, write_json

if TYPE_CHECKING:
    from onnx import ModelProto

# Mean IoU with the masks of float32; five epochs of the sample domains gave 0.999 with fp16 and 0.995 with int8.
LEAST_IOU = {"fp16": 0.98, "int8": 0.95}


@dataclass(frozen=True)
class ExportedQuantised:
    """The result of an export: the certificate, the file it was written to, and lines of Python that use the model."""

    certificate: OnnxCertificate
    certificate_file: Path
    lines: str


def certificate_file(output: Path) -> Path:
    """Return the path of the certificate beside an ONNX file."""
    return output.with_suffix(".certificate.json")


def export_quantised(
    merged: Path,
    output: Path,
    prepared: Path,
    kind: str,
    opset: int = DEFAULT_OPSET,
    least_iou: float | None = None,
) -> ExportedQuantised:
    """Write a merged model as a smaller ONNX file, if its masks are those of the model in float32.

    Input and outputs have the types of the file in float32. "fp16" stores weights and computes in half precision;
    "int8" stores the weights of matrix products in 8 bits, a scale for each output channel, and quantises what they
    are multiplied with as it comes, so that it needs no calibration images.

    Args:
        merged: what stage merge wrote.
        output: the file; replaced if it exists, with its certificate.
        prepared: what stage preprocess wrote; masks are compared on its validation images.
        kind: "fp16" or "int8".
        opset: version of ONNX's operators.
        least_iou: mean IoU that the masks need; None is `LEAST_IOU`.

    Raises:
        ConfigError: if the packages of the extra `onnx` are missing.
        CheckpointError: if files of the model are missing, damaged or of another version.
        DataError: if there are no such images, or not of the size and view that the model was trained with.
        ExportError: as `export_onnx`; if the masks differ by more, or no image has any.
    """
    check_request(opset, output)
    least = LEAST_IOU[kind] if least_iou is None else least_iou
    source = read_source(merged)
    validation = _validation_images(prepared, source)
    with tempfile.TemporaryDirectory() as folder, atomic_file(output) as temporary:
        whole = Path(folder) / "float32.onnx"
        difference = write_checked(source, whole, output, opset)
        model = _QUANTISE[kind](_prepare(whole))
        _save(model, temporary, facts(source, opset, difference))
        certificate = compare(open_session(whole), open_session(temporary), validation, kind, least)
        certificate = certificate.with_sizes(whole.stat().st_size, temporary.stat().st_size)
        if reason := certificate.rejected():
            raise ExportError(f"{output} is not written: {reason}")
        _save(model, temporary, facts(source, opset, difference) | certificate.facts())
        certificate = certificate.with_sizes(whole.stat().st_size, temporary.stat().st_size)
    write_json(certificate_file(output), certificate.notes())
    return ExportedQuantised(certificate, certificate_file(output), printed_lines(source, output))


def _validation_images(prepared: Path, source: Source) -> PreparedData:
    data, scale = load_prepared(prepared, "validation"), source.head.scale
    found, wanted = ("whole images" if seen is None else "crops" for seen in (data.scale, scale))
    if found != wanted:
        raise DataError(
            f"{prepared} was made for {found}, and the model was trained on {wanted}; run stage preprocess with the "
            "train.view of that training"
        )
    side = source.graph.segmenter.image_size
    if data.side != side:
        raise DataError(
            f"{prepared} has images of {data.side} px a side, and the model takes {side}; run stage preprocess with "
            "the model.image_size of that training"
        )
    return replace(data, scale=scale)


def _prepare(path: Path) -> "ModelProto":
    """Return a model whose constants are computed, in float32: in half precision they would lose digits."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    model = onnx.load(prepared)
    _drop_shapes(model)
    return model


def _half(model: "ModelProto") -> "ModelProto":
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quiet():
        return convert_float_to_float16(model, keep_io_types=True)


def _eight_bits(model: "ModelProto") -> "ModelProto":
    """Return a model with 8-bit weights in its matrix products.

    Convolutions stay: they are few, and in 8 bits slower than in float32. An `Attention` node of opset 23 must stay,
    too: onnxruntime's quantiser takes it for its own operator of that name, and writes a file that does not load.
    With a range of 7 bits no sum saturates on processors without VNNI, so the certificate holds on those as well.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)


_QUANTISE: dict[str, Callable[["ModelProto"], "ModelProto"]] = {"fp16": _half, "int8": _eight_bits}


def _drop_shapes(model: "ModelProto") -> None:
    """Remove shapes of what is between input and output, and the operator sets that no node is of."""
    del model.graph.value_info[:]
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _save(model: "ModelProto", path: Path, about: dict[str, str]) -> None:
    import onnx

    _drop_shapes(model)
    onnx.helper.set_model_props(model, about)
    onnx.save_model(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out advice of onnxruntime's converters, which is about steps that were done, or not meant."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
