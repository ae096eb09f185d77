"""Read the regions of interest of ImageJ: one .roi file, or an archive of them, held in memory and bounded.

Format: https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html, read by Christoph Gohlke's roifile.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.pixel_centres import Oval, Rings
from naslora_core.data.importers.painting.shapes import Shape
from naslora_core.errors import DataError

if TYPE_CHECKING:
    from roifile import ImagejRoi

INSTALL = "pip install 'naslora[imagej]'"
# A region of some thousand corners has as many times eight bytes.
MOST_REGIONS, MOST_BYTES, MOST_BYTES_OF_ONE = 100_000, 256 << 20, 16 << 20
_SPLINE = 1
_NO_AREA = frozenset({"LINE", "FREELINE", "POLYLINE", "NOROI", "ANGLE", "POINT"})
_NO_REGION = frozenset({"TEXT", "ARROW", "IMAGE"})


@dataclass(frozen=True, eq=False)
class Region:
    """One region of interest; `shape` is None for what has no area, such as a line or a point."""

    name: str
    group: int
    shape: Shape | None


def read_rois(file: Path, left_out: LeftOut | None = None) -> list[Region]:
    """Return the regions of a .roi file or of a .zip archive of such files, in their order.

    Errors of single regions go to `left_out`.

    Raises:
        DataError: without roifile, or if a region is damaged or of a kind that is not read, or an archive is damaged,
            encrypted or too large.
    """
    if file.suffix.lower() != ".zip":
        return [_region(f"{file}", file.stem, _bounded(file))]
    try:
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if _is_roi(one.filename)]
            if len(members) > MOST_REGIONS or sum(one.file_size for one in members) > MOST_BYTES:
                raise DataError(
                    f"{file} holds {len(members):,} regions of {sum(one.file_size for one in members):,} bytes; at "
                    f"most {MOST_REGIONS:,} of {MOST_BYTES:,} are read. Split it"
                )
            if locked := [one.filename for one in members if one.flag_bits & 1]:
                raise DataError(f"{file}: {locked[0]!r} is encrypted; save the regions anew, without a password")
            return (left_out or LeftOut()).read_each(
                lambda one: _region(f"{file}: {one.filename!r}", Path(one.filename).stem, _read(file, archive, one)),
                members,
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise DataError(f"{file} is damaged: {error}; save the regions once more in ImageJ") from error


def holds_rois(file: Path) -> bool:
    """Say whether an archive holds regions, from its list of members."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(_is_roi(name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _is_roi(member: str) -> bool:
    # What macOS adds to archives.
    return member.lower().endswith(".roi") and not member.startswith("__MACOSX/")


def _bounded(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MOST_BYTES_OF_ONE + 1)
    if len(content) > MOST_BYTES_OF_ONE:
        raise DataError(f"{file} has more than {MOST_BYTES_OF_ONE:,} bytes, too many for one region; save it anew")
    return content


def _read(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        # What the list of members says of a size need not be true.
        content = stream.read(MOST_BYTES_OF_ONE + 1)
    if len(content) > MOST_BYTES_OF_ONE:
        raise DataError(f"{file}: {member.filename!r} has more than {MOST_BYTES_OF_ONE:,} bytes; save the regions anew")
    return content


def _region(place: str, name: str, content: bytes) -> Region:
    try:
        from roifile import ImagejRoi
    except ImportError as error:
        raise DataError(f"{place}: regions of ImageJ are read by roifile, which is not installed: {INSTALL}") from error
    try:
        roi = ImagejRoi.frombytes(content)
        return Region(name, int(roi.group), _shape(roi, place))
    except DataError:
        raise
    # Damaged regions make the reader raise almost anything.
    except Exception as error:
        raise DataError(f"{place} is no region of ImageJ: {str(error)[:200]}; save it once more in ImageJ") from error


def _shape(roi: "ImagejRoi", place: str) -> Shape | None:
    kind = roi.roitype.name
    if kind in _NO_AREA or roi.subtype.name in _NO_REGION:
        return None
    if roi.options & _SPLINE or roi.rounded_rect_arc_size:
        raise DataError(
            f"{place} is a {'spline' if roi.options & _SPLINE else 'rectangle with round corners'}, which only ImageJ "
            "can paint; in ImageJ turn it into a polygon: Edit > Selection > Create Mask, then Create Selection"
        )
    if roi.multi_coordinates is not None:
        return Rings([np.asarray(ring, dtype=float) for ring in roi.path2coords(roi.multi_coordinates)])
    if kind == "OVAL":
        return Oval(roi.left, roi.top, max(roi.right - roi.left, 0), max(roi.bottom - roi.top, 0))
    if kind == "RECT":
        corners = [[roi.left, roi.top], [roi.right, roi.top], [roi.right, roi.bottom], [roi.left, roi.bottom]]
        return Rings([np.array(corners, dtype=float)])
    # ImageJ's own polygons give a centre on an edge to what lies before it; composite ones, which Java paints, do not.
    return Rings([np.asarray(roi.coordinates(), dtype=float)], on_edge="before")
