"""Images in, mask files out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.pixels import IMAGE_SUFFIXES, read_image
from naslora_core.errors import ConfigError, DataError
from naslora_core.evaluation.decide import decide
from naslora_core.evaluation.overlays import PREDICTION_COLOUR, class_colour
from naslora_core.files import atomic_file
from naslora_core.progress import Progress

Predict = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]

_TINT = 0.45
# (256, 3), a colour for every class id; the background is black.
_CLASS_PALETTE = np.array([(0, 0, 0), *map(class_colour, range(1, 256))], dtype=np.uint8)


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


def find_images(inputs: Sequence[Path]) -> list[Path]:
    """Return the image files among `inputs` and in the folders among them.

    Raises:
        DataError: if a path does not exist, a folder holds no image, or two images differ in extension only.
    """
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")
            if not inside:
                raise DataError(f"{path} holds no image; expected {', '.join(sorted(IMAGE_SUFFIXES))}")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"{path} not found; give image files or folders of them")
    names: dict[str, Path] = {}
    for file in files:
        if names.setdefault(file.stem, file) != file:
            raise DataError(f"{names[file.stem]} and {file} would write the same mask; rename one")
    return list(names.values())


def predict_files(
    predict: Predict, files: Sequence[Path], output: Path, threshold: float, progress: Progress
) -> list[Path]:
    """Write <name>_mask.png and <name>_overlay.png for every image, one after the other.

    A mask holds 0 and 255, or with several classes the class ids, which its palette shows in colours.

    Args:
        predict: maps images (H, W, 3) uint8 to probabilities of the same size, (H, W) that a pixel is foreground or
            (K, H, W) that it is of each class.
        files: images with different names.
        output: folder, created if missing.
        threshold: probability above which a pixel is foreground; see `decide` for several classes.
        progress: told after each image.

    Returns:
        The masks, in the order of `files`.

    Raises:
        DataError: if an image cannot be read; those before it are written.
    """
    masks = []
    for done, file in enumerate(files, start=1):
        image = read_image(file)
        probability = predict([image])[0]
        ids = decide(probability, threshold)
        several = probability.ndim == 3
        masks.append(output / f"{file.stem}_mask.png")
        _save(_class_picture(ids) if several else Image.fromarray(ids * np.uint8(255)), masks[-1])
        colours = _CLASS_PALETTE[ids] if several else np.array(PREDICTION_COLOUR)
        tinted = np.where(ids[..., None] > 0, (1 - _TINT) * image + _TINT * colours, image)
        _save(Image.fromarray(tinted.astype(np.uint8)), output / f"{file.stem}_overlay.png")
        progress(done, len(files), "predicted")
    return masks


def _class_picture(ids: np.ndarray) -> Image.Image:
    """Return a palette picture whose values are the class ids, so that it is a mask to programs and people alike."""
    picture = Image.fromarray(ids)
    picture.putpalette(_CLASS_PALETTE.tobytes())
    return picture


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")
