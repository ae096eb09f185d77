"""Find the images and the model that `naslora predict` is asked for."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import count_suffixes, walk_files
from naslora_core.errors import ConfigError, DataError


@dataclass(frozen=True)
class InputImage:
    """An image file, and the path of its outputs in the output folder, without suffix."""

    path: Path
    name: str

    @property
    def file_name(self) -> str:
        """The image as files that travel name it: relative to the folder that was given, with / between folders."""
        return file_name(self.name, self.path)


def file_name(name: str, path: Path) -> str:
    """Return `InputImage.file_name` for the parts of one."""
    return f"{name}{path.suffix}"


def serving_folder(root: Path, domain: str | None, model: Path | None) -> Path:
    """Return the folder of the merged model to use.

    Raises:
        ConfigError: if not exactly one of `domain` and `model` is given, or there is no such model.
    """
    if (domain is None) == (model is None):
        raise ConfigError("say which model to use: either --domain NAME or --model FOLDER")
    folder = model if model is not None else root / "serving" / str(domain)
    if (folder / "model.safetensors").is_file():
        return folder
    served = sorted(path.parent.name for path in (root / "serving").glob("*/model.safetensors"))
    raise ConfigError(
        f"no model in {folder}; in service: {', '.join(served) or 'none'}. Start naslora run, or correct the name"
    )


def find_images(inputs: Sequence[str], recursive: bool, output: Path) -> list[InputImage]:
    """Return the images that `inputs` name, each once.

    Args:
        inputs: files, folders, and patterns such as "photos/**/*.jpg", for which ** stands for any folders.
        recursive: look into the folders of folders too, once each where links lead to them; their outputs then lie in
            folders of the same names.
        output: folder whose files are never taken for images, so that it may lie among them.

    Raises:
        DataError: if an input names no image, or two images differ in extension only.
    """
    found: dict[str, InputImage] = {}
    for given in inputs:
        images = [
            image for image in _expand(given, recursive) if not image.path.resolve().is_relative_to(output.resolve())
        ]
        if not images:
            raise DataError(_nothing_in(given, recursive))
        for image in images:
            other = found.setdefault(image.name, image)
            if other.path.resolve() != image.path.resolve():
                raise DataError(f"{other.path} and {image.path} would write the same mask; rename one")
    return list(found.values())


def _expand(given: str, recursive: bool) -> Iterator[InputImage]:
    path = Path(given).expanduser()
    if path.is_file():
        yield InputImage(path, path.stem)
        return
    if path.is_dir():
        base, files = path, walk_files(path) if recursive else path.iterdir()
    elif glob.has_magic(given):
        parts = path.parts
        fixed = next(place for place, part in enumerate(parts) if glob.has_magic(part))
        base = Path(*parts[:fixed])
        files = base.glob(str(Path(*parts[fixed:])))
    else:
        return
    for file in sorted(files):
        relative = file.relative_to(base)
        hidden = any(part.startswith(".") for part in relative.parts)
        if file.suffix.lower() in IMAGE_SUFFIXES and not hidden and file.is_file():
            yield InputImage(file, relative.with_suffix("").as_posix())


def count_left_out(inputs: Sequence[str], recursive: bool, output: Path) -> str:
    """Return how many files of the folders among `inputs` are no images, by suffix, and how many folders are not seen.

    Hidden files and what lies in `output` do not count; "" if nothing is left out.
    """
    others: list[Path] = []
    folders = 0
    for folder in (Path(given).expanduser() for given in inputs):
        if not folder.is_dir():
            continue
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        folders += 0 if recursive else sum(path.is_dir() and path.resolve() != output.resolve() for path in inside)
        files = walk_files(folder) if recursive else (path for path in inside if path.is_file())
        others += [
            file
            for file in files
            if file.suffix.lower() not in IMAGE_SUFFIXES and not file.resolve().is_relative_to(output.resolve())
        ]
    said = [f"{len(others)} file{'s' * (len(others) != 1)} that are no images ({count_suffixes(others)})"] * bool(
        others
    )
    said += [f"{folders} folder{'s' * (folders != 1)} (--recursive looks into them)"] * bool(folders)
    return f"left out: {', '.join(said)}" if said else ""


def _nothing_in(given: str, recursive: bool) -> str:
    kinds = ", ".join(sorted(IMAGE_SUFFIXES))
    if Path(given).is_dir():
        return f"{given} holds no image; expected {kinds}" + (
            "" if recursive else "; --recursive looks into its folders"
        )
    if glob.has_magic(given):
        return f"no image matches '{given}'; expected {kinds}; a ** stands for any folders"
    return f"{given} not found; give image files, folders of them, or patterns"
