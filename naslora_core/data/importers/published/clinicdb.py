"""CVC-ClinicDB, also called CVC-612: 612 frames of 29 colonoscopy videos, each with polyps.

Source: Bernal et al., "WM-DOVA maps for accurate polyp highlighting in colonoscopy", Computerized Medical Imaging and
Graphics 43, 2015, https://polyp.grand-challenge.org/CVCClinicDB/. Licence: research, with citation; the authors keep
the copyright. One class, polyp. Layout: Original/N.tif and "Ground Truth"/N.tif, N from 1 to 612, 384 x 288 pixels;
copies hold them in PNG/ and TIF/ with a metadata.csv of frame_id and sequence_id. No split is published. PraNet,
and Conv-LoRA after it, draw single frames, 550 to train on and 62 to test, so that neighbouring frames of one video
are on both sides; here every video is a group and stays on one. Metrics: S-measure, E-measure, weighted F-measure, MAE.
"""

import bisect
import csv
from dataclasses import replace
from pathlib import Path

from naslora_core.data.importers.base import Found, Importer, ImportRequest, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files
from naslora_core.errors import DataError

HOME = "https://polyp.grand-challenge.org/CVCClinicDB/"
METADATA_FILE = "metadata.csv"
# The last frame of each video in turn, as https://datasetninja.com/cvc-612 lists what the authors describe.
SEQUENCE_ENDS = (
    25, 50, 67, 78, 103, 126, 151, 177, 199, 205, 227, 252, 277, 297, 317, 342, 363, 383, 408, 428, 447, 466, 478,
    503, 528, 546, 571, 591, 612,
)  # fmt: skip
# PNG first: it is the smaller of two lossless copies.
_FORMATS = ("", "PNG/", "TIF/")


def find_clinicdb(request: ImportRequest) -> Found:
    """Pair the frames with their masks, and group them by the video they are of.

    Raises:
        DataError: if metadata.csv lacks a column or a frame, or without it a frame is not one of 1 to 612.
    """
    root = request.folder
    place = next(place for place in _FORMATS if _is_root(root / place))
    sources = pair_files(root, [FolderPair(None, f"{place}Original", f"{place}Ground Truth")])
    listed = _read_sequences(root / METADATA_FILE) if (root / METADATA_FILE).is_file() else None
    return Found(
        sources=tuple(replace(source, group=_group(source.name, listed, root)) for source in sources),
        title="CVC-ClinicDB: polyps of the colon",
        classes=("polyp",),
        mask_threshold=128,
        licence=f"research use with citation; see {HOME}",
        citation=(
            "Bernal, J. et al. WM-DOVA maps for accurate polyp highlighting in colonoscopy: Validation vs. saliency "
            "maps from physicians. Computerized Medical Imaging and Graphics 43, 2015, pages 99-111. "
            "https://doi.org/10.1016/j.compmedimag.2015.02.007"
        ),
        origin=HOME,
    )


def _read_sequences(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not {"frame_id", "sequence_id"} <= set(reader.fieldnames or ()):
                raise DataError(f"{path} begins with {reader.fieldnames}; expected columns frame_id and sequence_id")
            return {str(row["frame_id"]).strip(): str(row["sequence_id"]).strip() for row in reader}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}; correct it") from error


def _group(name: str, listed: dict[str, str] | None, root: Path) -> str:
    if listed is not None:
        if name not in listed:
            raise DataError(f"{root / METADATA_FILE} does not list frame {name}; add its line, or remove the file")
        return f"video_{listed[name].zfill(2)}"
    if not (name.isdecimal() and 1 <= int(name) <= SEQUENCE_ENDS[-1]):
        raise DataError(
            f"{root}: '{name}' is not a frame of CVC-ClinicDB, which has 1 to {SEQUENCE_ENDS[-1]}; to say which video "
            f"a frame is of, add {METADATA_FILE} with the columns frame_id and sequence_id"
        )
    return f"video_{bisect.bisect_left(SEQUENCE_ENDS, int(name)) + 1:02d}"


def _is_root(folder: Path) -> bool:
    return (folder / "Original").is_dir() and (folder / "Ground Truth").is_dir()


register(
    Importer(
        name="clinicdb",
        summary="CVC-ClinicDB (CVC-612): polyps in frames of 29 videos",
        expected="Original/ and 'Ground Truth'/, alone or in PNG/ or TIF/",
        is_root=lambda folder: any(_is_root(folder / place) for place in _FORMATS),
        find=find_clinicdb,
        home=HOME,
    )
)
