"""Conversions to ONNX, which take ten seconds each."""

import hashlib
from collections.abc import Iterator

import onnx
import pytest

from naslora_core.export import onnx_file
from naslora_core.export.graph import Source
from tests.fixtures.once import made_once


@pytest.fixture(scope="session", autouse=True)
def _converted_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Convert a model once for all files of tests, and give each export a copy of its own."""
    original = onnx_file._convert

    def convert(source: Source, opset: int) -> onnx.ModelProto:
        known = hashlib.sha256(repr((opset, source.graph, sorted(source.about.items()))).encode())
        for name, weight in source.graph.state_dict().items():
            known.update(name.encode() + weight.numpy().tobytes())
        folder = made_once(
            tmp_path_factory,
            f"onnx-{known.hexdigest()[:16]}",
            lambda folder: onnx.save_model(original(source, opset), folder / "model.onnx"),
        )
        return onnx.load(folder / "model.onnx")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_file, "_convert", convert)
        yield
