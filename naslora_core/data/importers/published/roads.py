"""Massachusetts Roads: 1,171 aerial images of one metre a pixel, 1500 x 1500 pixels each.

Source: Mnih, "Machine Learning for Aerial Image Labeling", PhD thesis, University of Toronto, 2013,
https://www.cs.toronto.edu/~vmnih/data/. Licence: none is stated; the labels are made from OpenStreetMap (ODbL). One
class, road: centre lines drawn seven pixels wide. Published split: 1,108 train, 14 validation, 49 test. Conv-LoRA
measures IoU. Layout of the copy on Kaggle (balraj98/massachusetts-roads-dataset): tiff/{train,val,test}/N.tiff beside
tiff/{train,val,test}_labels/N.tif; white parts of an image were never photographed.
"""

import numpy as np

from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files
from naslora_core.data.importers.shared.tiles import cut

HOME = "https://www.cs.toronto.edu/~vmnih/data/"
FOLDERS = tuple(
    FolderPair(split, name, f"{name}_labels")
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test"))
)
THRESHOLD = 128
# A tile that shows less than this share of the ground is left out.
LEAST_SHOWN = 0.5


def find_roads(request: ImportRequest) -> Found:
    """Pair the images with their road masks; with `tile_px`, cut tiles and leave out those that are mostly white.

    Raises:
        DataError: if a scene that is to be cut cannot be read.
    """
    scenes = pair_files(request.folder, FOLDERS)
    sources, empty = (scenes, 0) if request.tile_px is None else _tiled(scenes, request.tile_px)
    return Found(
        sources=tuple(sources),
        title="Massachusetts Roads: aerial images",
        classes=("road",),
        mask_threshold=THRESHOLD if request.tile_px is None else None,
        mask_values=None if request.tile_px is None else {"road": (1,)},
        licence=f"not stated; see {HOME}",
        citation="Mnih, V. Machine Learning for Aerial Image Labeling. PhD thesis, University of Toronto, 2013.",
        origin=HOME,
        notes=(f"{empty} tiles were left out: more than half of each was never photographed",) if empty else (),
    )


def _tiled(scenes: tuple[Source, ...], side: int) -> tuple[list[Source], int]:
    sources, empty = [], 0
    for scene in scenes:
        if scene.image is None or scene.mask is None or callable(scene.image) or callable(scene.mask):
            sources.append(scene)
            continue
        tiles, left_out = cut(scene.name, scene.image, scene.mask, THRESHOLD, side, _is_unphotographed)
        empty += left_out
        sources += [Source(name, image, mask, scene.split, group=scene.name) for name, image, mask in tiles]
    return sources, empty


def _is_unphotographed(pixels: np.ndarray) -> bool:
    return bool((pixels == 255).all(axis=2).mean() > 1 - LEAST_SHOWN)


register(
    Importer(
        name="roads",
        summary="Massachusetts Roads: aerial images",
        expected="train/, train_labels/, val/, val_labels/, test/ and test_labels/ with TIFF files",
        is_root=holds("train", "train_labels", "val", "val_labels"),
        find=find_roads,
        home=HOME,
        options=frozenset({"tile_px"}),
    )
)
