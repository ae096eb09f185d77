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
from naslora_core.export.usage import graph_lines
from naslora_core.files import atomic_file

if TYPE_CHECKING:
    from onnx import ModelProto

DEFAULT_OPSET = 18
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Protobuf counts bytes in 31 bits; the rest is for the graph itself.
_LARGEST_WEIGHTS = 2**31 - 2**26
_OPEN = """import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("{output}")
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
        ExportError: if the model does not fit into the format or the opset, or ONNX Runtime gives other masks.
    """
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"exporting ONNX needs {', '.join(missing)}; install them with: pip install 'naslora[onnx]'")
    import onnx

    source = read_source(merged)
    _check_size(source, output)
    model = _convert(source, opset)
    with atomic_file(output) as temporary:
        onnx.save_model(model, temporary)
        difference = largest_difference(source, _runner(temporary), output)
        about = source.about | {"opset": str(opset), "largest_logit_difference": f"{difference:.3g}"}
        onnx.helper.set_model_props(model, about)
        onnx.save_model(model, temporary)
    return Exported(difference, _lines(source, output))


def _lines(source: Source, output: Path) -> str:
    size = source.graph.segmenter.image_size
    tiled = source.head.scale is not None
    return _OPEN.format(output=output) + (graph_lines(source.head, size, _CALL) if tiled else _LINES.format(size=size))


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
    return model


def _runner(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    import onnxruntime

    # Does something on Windows alone, where builds of ONNX Runtime report their use.
    onnxruntime.disable_telemetry_events()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> dict[str, Tensor]:
        results = session.run(list(OUTPUTS), {INPUT: images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(OUTPUTS, results, strict=True)}

    return run
