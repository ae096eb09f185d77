"""Export a merged model as an ONNX file."""

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from naslora_core.errors import ConfigError, ExportError
from naslora_core.export.graph import (
    INPUT,
    OUTPUTS,
    TRACED_BATCH,
    Exported,
    Source,
    largest_difference,
    read_source,
)
from naslora_core.export.usage import graph_lines, in_python
from naslora_core.files import atomic_file

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

DEFAULT_OPSET = 18
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Protobuf counts bytes in 31 bits; the rest is for the graph itself.
_LARGEST_WEIGHTS = 2**31 - 2**26
_OPEN = """import numpy as np, onnxruntime
session = onnxruntime.InferenceSession({output})
"""
_LINES = """images = np.zeros((1, 3, {size}, {size}), np.uint8)  # RGB
probabilities, = session.run(["probabilities"], {{"images": images}})"""
# Of a model of crops.
_CALL = 'session.run(["low_res_masks"], {"images": np.asarray(square).transpose(2, 0, 1)[None]})[0][0]'


def export_onnx(merged: Path, output: Path, opset: int = DEFAULT_OPSET) -> Exported:
    """Write a merged model as one ONNX file with a dynamic batch size, atomically, and check its logits.

    Args:
        merged: what stage merge wrote.
        output: the file; replaced if it exists.
        opset: version of ONNX's operators.

    Raises:
        ConfigError: if the packages of the extra `onnx` are missing.
        CheckpointError: if files are missing, damaged or of another version.
        ExportError: if the opset is not supported, the model does not fit into the format, or ONNX Runtime gives other
            masks.
    """
    check_request(opset, output)
    source = read_source(merged)
    with atomic_file(output) as temporary:
        difference = write_checked(source, temporary, output, opset)
    return Exported(difference, printed_lines(source, output))


def check_request(opset: int, output: Path) -> None:
    """Refuse what the installed packages cannot write, before any work.

    Raises:
        ConfigError: if packages are missing.
        ExportError: if the opset is not one that they write.
    """
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"exporting ONNX needs {', '.join(missing)}; install them with: pip install 'naslora[onnx]'")
    supported = supported_opsets()
    if opset not in supported:
        raise ExportError(
            f"{output} is not written: opset {opset} was asked for, and torch {torch.__version__} with the installed "
            f"onnx and onnxscript writes {supported[0]} to {supported[-1]}; give one of these, or leave --opset out "
            f"for {DEFAULT_OPSET}, which most programs read"
        )


def supported_opsets() -> range:
    """Return the versions of ONNX's operators that the installed converter writes.

    torch translates to the first of them, and onnxscript raises that to the others; asked for one beyond its last, it
    calls the converter of onnx, which fails in C++ and leaves a traceback on the terminal.
    """
    import onnx
    from onnxscript.version_converter import _version_converter

    newest = getattr(_version_converter, "SUPPORTED_MAX_ONNX_OPSET", DEFAULT_OPSET)
    return range(DEFAULT_OPSET, min(newest, onnx.defs.onnx_opset_version()) + 1)


def write_checked(source: Source, path: Path, output: Path, opset: int) -> float:
    """Write a model in float32 to `path`, and return the largest difference of its logits from the merged model's.

    Args:
        source: what is exported.
        path: of the file, which is replaced.
        output: named in errors.
        opset: one of `supported_opsets`.

    Raises:
        ExportError: if the model does not fit into the format, or ONNX Runtime gives other masks.
    """
    import onnx

    _check_size(source, output)
    model = _convert(source, opset)
    onnx.save_model(model, path)
    difference = largest_difference(source, _runner(path), output)
    onnx.helper.set_model_props(model, facts(source, opset, difference))
    onnx.save_model(model, path)
    return difference


def facts(source: Source, opset: int, difference: float) -> dict[str, str]:
    """Return the metadata of a file: what the model is, the opset, and how far its float32 is from the model."""
    return source.about | {"opset": str(opset), "largest_logit_difference": f"{difference:.3g}"}


def open_session(path: Path) -> "InferenceSession":
    """Open an ONNX file in ONNX Runtime on the CPU, without its warnings."""
    import onnxruntime

    # Does something on Windows alone, where builds of ONNX Runtime report their use.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def printed_lines(source: Source, output: Path) -> str:
    """Return lines of Python that use the file."""
    size = source.graph.segmenter.image_size
    opened = _OPEN.format(output=in_python(output))
    if source.head.scale is None:
        return opened + _LINES.format(size=size)
    return opened + graph_lines(source.head, size, _CALL)


def _check_size(source: Source, output: Path) -> None:
    size = sum(value.numel() * value.element_size() for value in source.graph.state_dict().values())
    if size > _LARGEST_WEIGHTS:
        raise ExportError(
            f"{output} is not written: {source.about['model']} has {size / 2**30:.1f} GiB of weights, and an ONNX file "
            "holds at most 2; use naslora export torch"
        )


def _convert(source: Source, opset: int) -> "ModelProto":
    with torch.no_grad(), warnings.catch_warnings():
        # Of torch's own, about what its next version will do.
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                source.graph,
                (source.images(TRACED_BATCH),),
                dynamo=True,
                opset_version=opset,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch", min=1)}},
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(
                f"torch {torch.__version__} cannot convert this model to opset {opset}: {error}; use opset "
                f"{DEFAULT_OPSET}, or naslora export torch"
            ) from error
    assert program is not None
    model = program.model_proto
    written = {entry.domain: entry.version for entry in model.opset_import}
    if written.get("") != opset:
        raise ExportError(f"the installed converter writes opset {written.get('')}, not {opset}; use {DEFAULT_OPSET}")
    # torch states the shapes of weights here a second time, and of everything between. Who transposes a weight, as
    # onnxruntime's quantize_dynamic does, would leave a shape that is no longer so, and readers refuse the file.
    del model.graph.value_info[:]
    return model


def _runner(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    session = open_session(path)

    def run(images: Tensor) -> dict[str, Tensor]:
        results = session.run(list(OUTPUTS), {INPUT: images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(OUTPUTS, results, strict=True)}

    return run
