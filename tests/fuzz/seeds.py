"""Sound inputs, small and made by code; every target begins with some of them."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from safetensors.numpy import save

ROOT = Path(__file__).parents[2]
SIDE = 8


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def project_settings() -> dict[str, Any]:
    """Return params.yaml as plain values."""
    content: dict[str, Any] = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return content


def card(**changes: object) -> dict[str, Any]:
    split = {"kind": "random", "seed": 3, "train": 0.6, "validation": 0.2, "test": 0.2, "group_pattern": r"^(\w)\d"}
    return {
        "name": "discs", "title": "Discs", "classes": ["disc"], "mask_threshold": 128, "split": split,
        "accepted_copies": [["a1", "b1"]], "licence": "none", "citation": "none", "source": "a test", **changes,
    }  # fmt: skip


def picture(suffix: str, mode: str = "RGB", seed: int = 1, **options: object) -> bytes:
    """Return an image file of 8 x 8 pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    deep = mode == "I;16"
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if deep else Image.fromarray(pixels).convert(mode)
    return _encode(image, suffix, **options)


Value = int | tuple[int, int, int]


def mask(suffix: str = ".png", high: Value = 255) -> bytes:
    """Return a mask file of 8 x 8 pixels, with a square of the value or colour `high`."""
    pixels = np.zeros((SIDE, SIDE) if isinstance(high, int) else (SIDE, SIDE, 3), np.uint8)
    pixels[2:6, 2:6] = high
    return _encode(Image.fromarray(pixels), suffix)


def pairs(
    images: str, masks: str, suffixes: tuple[str, str] = (".jpg", ".png"), ending: str = "", high: Value = 255
) -> dict[str, bytes]:
    """Return three images and their masks, in the folders that a layout has."""
    files = {}
    for number in (1, 2, 3):
        files[f"{images}/{number}{suffixes[0]}"] = picture(suffixes[0], seed=number)
        files[f"{masks}/{number}{ending}{suffixes[1]}"] = mask(suffixes[1], high)
    return files


def tensors(**shapes: tuple[int, ...]) -> bytes:
    """Return a safetensors file; double underscores in names stand for dots."""
    arrays = {name.replace("__", "."): np.ones(shape, np.float32) for name, shape in shapes.items()}
    return save(arrays, {"format": "naslora-adapter-2"})


def as_zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def as_tar(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _encode(image: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    kind = {".jpg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}.get(suffix, suffix[1:].upper())
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()
