"""Time the import of a COCO file against pycocotools, which decodes each of its objects into a mask of the whole image.

The file and its images are drawn: objects have 8 to 60 corners and a share of them run lengths, images noise of 16 x 16
squares. The import is the whole one: it reads the files, copies images, paints, counts and writes masks. Each split has
a file, so that none is drawn, for which images would be compared with each other (`--one-file`: with that).
pycocotools reads the files and decodes their objects, and does nothing with them. Both take turns; a ratio is one of a
turn, and the median of all turns is shown. CPU seconds are those of the process and its children.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from rich.console import Console
from rich.table import Table

from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.importers.painting.paint_report import PaintReport

WIDTH, HEIGHT, BLOCK = 640, 480, 16


def main() -> None:
    """Draw a file of objects, decode and import it in turns, and print the times."""
    options = _arguments()
    turns = []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        parts = {"": 1.0} if options.one_file else {"_train": 0.8, "_val": 0.1, "_test": 0.1}
        _draw(root / "in", options.images, options.objects, options.runs, parts)
        for turn in range(options.repeats):
            decoded = _timed(partial(_decode, root / "in"))
            imported = _timed(partial(_import, root / "in", root / "data" / f"turn{turn}"))
            turns.append((*decoded, *imported))
    shown = Table("", "pycocotools decodes, s", "import, s", "ratio, median", "ratios")
    for kind, place_of in (("CPU", 0), ("wall", 1)):
        ratios = [turn[place_of + 2] / turn[place_of] for turn in turns]
        shown.add_row(
            kind,
            f"{statistics.median(turn[place_of] for turn in turns):.2f}",
            f"{statistics.median(turn[place_of + 2] for turn in turns):.2f}",
            f"{statistics.median(ratios):.2f}",
            " ".join(f"{ratio:.2f}" for ratio in ratios),
        )
    Console(width=120).print(shown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_coco", description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="how many images")
    parser.add_argument("--objects", type=int, default=10_000, help="how many objects in all")
    parser.add_argument("--runs", type=float, default=0.1, help="share of the objects that are run lengths")
    parser.add_argument("--one-file", action="store_true", help="one file without a split")
    parser.add_argument("--repeats", type=int, default=5, help="how often both take their turn")
    return parser.parse_args()


def _draw(root: Path, images: int, objects: int, runs: float, parts: dict[str, float]) -> None:
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(images):
        squares = rng.integers(0, 255, (HEIGHT // BLOCK, WIDTH // BLOCK, 3), np.uint8)
        Image.fromarray(np.kron(squares, np.ones((BLOCK, BLOCK, 1), np.uint8))).save(root / f"{number}.jpg")
    annotations: list[dict[str, Any]] = []
    for number in range(objects):
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(8, 61)))
        radii = rng.uniform(0.7, 1.0, len(turns)) * np.exp(rng.uniform(np.log(6), np.log(150)))
        centre = rng.uniform(0, (WIDTH, HEIGHT))
        corners = np.clip(centre + radii[:, None] * np.c_[np.cos(turns), np.sin(turns)], 0, (WIDTH, HEIGHT)).round(2)
        packed = coco_mask.frPyObjects([corners.ravel().tolist()], HEIGHT, WIDTH)[0]
        as_runs = {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()}
        annotations.append(
            {
                "id": number + 1,
                "image_id": number % images,
                "category_id": number % 3 + 1,
                "segmentation": as_runs if rng.random() < runs else [corners.ravel().tolist()],
                "area": float(coco_mask.area(packed)),
                "iscrowd": 0,
            }
        )
    categories = [{"id": n, "name": f"class{n}"} for n in (1, 2, 3)]
    first = 0
    for part, share in parts.items():
        last = first + round(share * images)
        listed = [{"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH} for n in range(first, last)]
        of_part = [annotation for annotation in annotations if first <= annotation["image_id"] < last]
        content = {"images": listed, "annotations": of_part, "categories": categories}
        (root / f"instances{part}.json").write_text(json.dumps(content))
        first = last


def _decode(root: Path) -> None:
    for file in root.glob("*.json"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(file))
        for annotation in coco.dataset["annotations"]:
            coco.annToMask(annotation)


def _import(root: Path, target: Path) -> None:
    request = ImportRequest(root)
    import_dataset(IMPORTERS["coco"](request), request, target, report=PaintReport())


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return the CPU and wall seconds that `work` takes."""
    cpu, wall = _cpu_s(), time.perf_counter()
    work()
    return _cpu_s() - cpu, time.perf_counter() - wall


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    main()
