"""The table of measurements: its columns, and its Parquet file.

One row a pair. Of the pair: name, split, group; image, mask: paths in the dataset. For both kinds of file, as
image_* and mask_*:

- state: ok, missing or unreadable, and problem says why; sha256: of the file, "" if it cannot be read;
- link: where a symbolic link leads that leaves the dataset, "" for all else;
- format, mode, channels, bits (of a channel), orientation (EXIF, 1 is upright): as stored;
- width, height, size ("WxH"): in pixels, upright.

Of the image: shorter_side_px; brightness, contrast: mean and standard deviation of grey, 0..255; saturation: mean,
0..1; sharpness: variance of the Laplacian; clipped_dark, clipped_bright: shares of nearly black and white pixels;
entropy_bits: of grey; constant: one colour; perceptual_hash, thumbnail: see `data.dataset.duplicates`.

Of the mask: mask_values: how many differ; unknown_values: those that no class has; mask_is_photograph: it has the
values of one; grey_share: neither 0 nor the largest value, where a threshold divides; ignored_share: of the pixels,
those that nobody labelled, which all that follows leaves out; nothing_labelled: they are all; share_<class>: of the
pixels; has_<class>: 1 if above 0;
foreground_share: of all classes; object_share: the same, missing where it is 0; is_empty; components,
smallest_component_px: connected regions of one class; touches_border; covers_image: 1 if all that is labelled is of
one class; objects_<class>: connected regions; vanished_<class>: how many of them have no pixel left at the model's
input size, missing if that was not given; widths_<class>: how wide they are, see `quality.scale.widths`; mask_look: see
`data.dataset.mask_looks`.

Of both: copy_in_same_split, copy_in_other_split: another pair with the same or nearly the same image, "" if none;
accepted_copy: the same for those the card accepts; group_in_other_split: a pair of the same group. Of the split of a
pair, or of all: see `quality.split_checks`.

A value is missing where it could not be measured.
"""

import hashlib
from functools import cache
from pathlib import Path

import cv2
import imagehash
import pandas as pd
import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from naslora_core.data.dataset import card as card_module
from naslora_core.data.dataset import duplicates, encoding, ignored, mask_looks
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.image_files import facts, images, pixels
from naslora_core.data.dataset.image_files import reading as image_reading
from naslora_core.files import atomic_file
from naslora_core.quality import measure_file
from naslora_core.quality.measure_file import (
    objects_column,
    presence_column,
    share_column,
    vanished_column,
    widths_column,
)
from naslora_core.quality.scale import vanished, widths
from naslora_core.sam import square

_HEADER = {
    "format": "string", "mode": "string", "channels": "Int64", "bits": "Int64", "orientation": "Int64",
    "width": "Int64", "height": "Int64", "size": "string",
}  # fmt: skip
_CONTENT = {
    "image": {
        "shorter_side_px": "Int64", "brightness": "float64", "contrast": "float64", "saturation": "float64",
        "sharpness": "float64", "clipped_dark": "float64", "clipped_bright": "float64", "entropy_bits": "float64",
        "constant": "boolean", "perceptual_hash": "string", "thumbnail": "object",
    },
    "mask": {
        "mask_values": "Int64", "unknown_values": "string", "mask_is_photograph": "boolean", "grey_share": "float64",
        "ignored_share": "float64", "nothing_labelled": "boolean",
        "foreground_share": "float64", "object_share": "float64", "is_empty": "float64", "components": "Int64",
        "smallest_component_px": "Int64", "touches_border": "boolean", "covers_image": "float64", "mask_look": "object",
    },
}  # fmt: skip
_MADE_BY = b"naslora.measured_by"
_ENCODING = {"classes", "mask_threshold", "mask_values", "mask_ignore", "mask_reading", "image"}


def content_columns(kind: str, card: DatasetCard) -> dict[str, str]:
    """Return the columns that the bytes of an "image" or "mask" determine, with their pandas types."""
    shares = [column(name) for column in (share_column, presence_column) for name in card.classes]
    counted = [column(name) for column in (objects_column, vanished_column) for name in card.classes]
    drawn = dict.fromkeys(map(widths_column, card.classes), "string")
    by_class = dict.fromkeys(shares, "float64") | dict.fromkeys(counted, "Int64") | drawn if kind == "mask" else {}
    header = {f"{kind}_{column}": dtype for column, dtype in _HEADER.items()}
    return {f"{kind}_state": "string", f"{kind}_problem": "string", **header, **_CONTENT[kind], **by_class}


def write_table(path: Path, table: pd.DataFrame, card: DatasetCard, input_px: int | None = None) -> None:
    """Write measurements as Parquet, atomically; the same table gives the same bytes."""
    content = pa.Table.from_pandas(table, preserve_index=False)
    made_by = measured_by(card, input_px).encode()
    content = content.replace_schema_metadata({**(content.schema.metadata or {}), _MADE_BY: made_by})
    with atomic_file(path) as temporary:
        pq.write_table(content, temporary, compression="zstd")
    del content
    _give_memory_back()


def read_table(path: Path) -> pd.DataFrame | None:
    """Read measurements; None if there are none or the file is damaged."""
    try:
        # Every column is let go as soon as it is converted: the small pictures of all images take much memory.
        table = pq.read_table(path).to_pandas(split_blocks=True, self_destruct=True)
    except (OSError, pa.ArrowException):
        return None
    _give_memory_back()
    return table


def _give_memory_back() -> None:
    """Let the system have what Arrow has freed: of 100,000 pairs it would keep 300 MB for tables to come."""
    pa.default_memory_pool().release_unused()


def read_reusable(path: Path, card: DatasetCard, input_px: int | None = None) -> pd.DataFrame | None:
    """Read measurements if the same code made them with the same mask encoding and input size; None otherwise."""
    try:
        made_by = (pq.read_schema(path).metadata or {}).get(_MADE_BY, b"").decode()
    except (OSError, pa.ArrowException):
        return None
    return read_table(path) if made_by == measured_by(card, input_px) else None


def measured_by(card: DatasetCard, input_px: int | None = None) -> str:
    """Return a hash of all that determines a measurement beside the file: encoding, input size, code, libraries."""
    encoding_of = card.model_dump_json(include=_ENCODING)
    return hashlib.sha256(f"{encoding_of} {input_px} {_code()}".encode()).hexdigest()


@cache
def _code() -> str:
    digest = hashlib.sha256(f"{PIL.__version__} {cv2.__version__} {imagehash.__version__}".encode())
    for module in (
        card_module,
        duplicates,
        encoding,
        ignored,
        facts,
        image_reading,
        images,
        mask_looks,
        measure_file,
        pixels,
        square,
        vanished,
        widths,
    ):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
