"""What people draw with annotation tools: the files that the tools wrote, found, painted and read back."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.fuzz.harness import Files
from tests.fuzz.targets.importers import register

DATA = Path(__file__).parents[2] / "naslora_core" / "data" / "importers" / "drawn" / "data"
WIDTH, HEIGHT = 40, 32
# Three scenes say as much of a parser as ten, and mutate in a third of the time.
SCENES = ("hole", "overlapping", "two_classes")


def written(folder: str, images: str, scenes: tuple[str, ...] = SCENES) -> Callable[[], list[Files]]:
    """Return what makes the files of a folder of data/, and images for them in a folder beside."""

    def made() -> list[Files]:
        stream = BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(stream, "PNG")
        files = {
            path.relative_to(DATA / folder).as_posix(): path.read_bytes()
            for path in sorted((DATA / folder).rglob("*"))
            if path.is_file() and path.name != "masks.tool" and (path.suffix != ".json" or _is_wanted(path))
        }
        return [files | {f"{images}{scene}.png": stream.getvalue() for scene in scenes}]

    return made


def _is_wanted(path: Path) -> bool:
    """Leave out labelme's files of other scenes, whose images are not there."""
    return "labelme" not in path.parts or path.stem in SCENES


LAYOUTS: dict[str, Callable[[], list[Files]]] = {
    "labelme": lambda: [*written("labelme/polygons", "")(), *written("labelme/masks", "")()],
    "label_studio": lambda: [
        *written("label_studio/polygons", "images/")(),
        *written("label_studio/brushes", "images/")(),
    ],
    "label_studio_png": written("label_studio/brush_png", "images/"),
    "cvat": lambda: [*written("cvat/polygons", "images/")(), *written("cvat/masks", "images/")()],
    "cvat_masks": lambda: [
        *written("cvat_masks/coloured", "JPEGImages/")(),
        *written("cvat_masks/plain", "JPEGImages/")(),
    ],
    "datumaro": lambda: [*written("datumaro/polygons", "images/")(), *written("datumaro/masks", "images/")()],
}

for name, made in LAYOUTS.items():
    register(name, made)
