"""Warn of files in images/ and masks/ that are not images and are ignored."""

from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, is_image_name, list_names
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.quality.verdict import Failure, FileProblem


def find_unknown_files(dataset: Dataset) -> list[Failure]:
    """Return a warning that names what in images/ and masks/ has no suffix of an image, hidden files aside."""
    files = [
        FileProblem(file=f"{kind}/{_printable(path.name)}", problem=_problem(path.suffix, path.is_dir()))
        for kind, folder in ((kind, dataset.files / kind) for kind in (IMAGES_FOLDER, MASKS_FOLDER))
        for path in (folder / name for name in list_names(folder) if not is_image_name(name))
    ]
    if not files:
        return []
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    return [
        Failure(
            expectation="files_known",
            description=f"{IMAGES_FOLDER}/ and {MASKS_FOLDER}/ hold images alone ({suffixes}); "
            "what else lies there is left out: convert it, or move it elsewhere",
            severity="warning",
            count=len(files),
            files=tuple(files),
            of_pairs=False,
        )
    ]


def _problem(suffix: str, is_folder: bool) -> str:
    if is_folder:
        return "is a folder; its files are left out"
    return f"ends in {_printable(suffix)}; it is left out" if suffix else "has no suffix; it is left out"


def _printable(name: str) -> str:
    # A line break or a letter outside of UTF-8 could not be written into a table.
    return name if name.isprintable() else ascii(name)
