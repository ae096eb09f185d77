"""Folders of images as others lay them out, and archives of such: found, painted, copied, read back."""

from collections.abc import Callable
from pathlib import Path

from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.importers.archive import Limits, is_archive, unpacked
from naslora_core.data.importers.recognise import recognise
from naslora_core.errors import DataError
from tests.fuzz.harness import Files, target
from tests.fuzz.seeds import SIDE, as_json, as_tar, as_zip, mask, pairs, picture

POLYGON = {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 6, 1, 6, 6, 1, 6]], "iscrowd": 0}
RUNS = {"id": 2, "image_id": 2, "category_id": 7, "segmentation": {"size": [SIDE, SIDE], "counts": [10, 20, 34]}}
PACKED = {"id": 3, "image_id": 3, "category_id": 7, "segmentation": {"size": [SIDE, SIDE], "counts": ":d0R1"}}
COCO = {
    "images": [{"id": n, "file_name": f"{n}.jpg", "height": SIDE, "width": SIDE} for n in (1, 2, 3)],
    "annotations": [POLYGON, RUNS, {**PACKED, "segmentation": {"size": [SIDE, SIDE], "counts": [0, 64]}}],
    "categories": [{"id": 3, "name": "disc"}, {"id": 7, "name": "square"}],
}
IMAGES = {f"images/{n}.jpg": picture(".jpg", seed=n) for n in (1, 2, 3)}
YOLO = {
    "data.yaml": as_json({"path": ".", "train": "images/train", "val": "images/val", "names": ["disc", "leaf"]}),
    **{f"images/{part}/{n}.jpg": picture(".jpg", seed=n) for part, n in (("train", 1), ("train", 2), ("val", 3))},
    "labels/train/1.txt": b"0 0.1 0.1 0.8 0.1 0.8 0.8\n1 0.2 0.2 0.4 0.2 0.4 0.4 0.2 0.4\n",
    "labels/val/3.txt": b"1 0 0 1 0 1 1 0 1\n",
}
PANOPTIC = {
    "images": [{"id": n, "file_name": f"{n}.jpg", "height": SIDE, "width": SIDE} for n in (1, 2)],
    "annotations": [
        {"image_id": 1, "file_name": "1.png", "segments_info": [{"id": 255, "category_id": 3, "area": 9}]},
        {"image_id": 2, "file_name": "2.png", "segments_info": [{"id": 65535 * 256 + 255, "category_id": 7}]},
    ],
    "categories": COCO["categories"],
}
SA1B = {
    "image": {"image_id": 1, "file_name": "1.jpg", "height": SIDE, "width": SIDE},
    "annotations": [{"id": 1, "segmentation": RUNS["segmentation"]}, {"id": 2, "segmentation": PACKED["segmentation"]}],
}
ROADS = pairs("train", "train_labels", (".tiff", ".tif")) | pairs("val", "val_labels", (".tiff", ".tif"))
LISTED = b"image,mask,split,group\nimages/1.jpg,masks/1.png,train,a\nimages/2.jpg,masks/2.png,test,b\n"
LAYOUTS: dict[str, Callable[[], list[Files]]] = {
    "folder": lambda: [pairs("images", "masks"), pairs("img", "gt", (".png", ".tif"), "_mask")],
    "coco": lambda: [
        {**IMAGES, "instances.json": as_json(COCO)},
        {f"train/{n}.jpg": picture(".jpg", seed=n) for n in (1, 2, 3)} | {"train/_annotations.json": as_json(COCO)},
    ],
    "coco_panoptic": lambda: [
        {f"images/{n}.jpg": picture(".jpg", seed=n) for n in (1, 2)}
        | {"panoptic/1.png": mask(high=(255, 0, 0)), "panoptic/2.png": mask(high=(255, 255, 255))}
        | {"panoptic.json": as_json(PANOPTIC)}
    ],
    "sa1b": lambda: [{"1.jpg": picture(".jpg"), "1.json": as_json(SA1B)}],
    "kaggle_rle": lambda: [
        {**IMAGES, "train.csv": b"ImageId,EncodedPixels\n1,1 3 9 4\n1,30 2\n2,\n"},
        {**IMAGES, "train.csv": b"ImageId_ClassId,EncodedPixels\n1.jpg_1,1 3\n2.jpg_4,64 1\n"},
    ],
    "yolo": lambda: [YOLO],
    "clinicdb": lambda: [
        pairs("Original", "Ground Truth", (".tif", ".tif")),
        pairs("PNG/Original", "PNG/Ground Truth", (".png", ".png"))
        | {"metadata.csv": b"frame_id,sequence_id\n1,1\n2,1\n3,2\n"},
    ],
    "kvasir": lambda: [pairs("images", "masks", (".jpg", ".jpg")) | {"kavsir_bboxes.json": b"{}"}],
    "camo": lambda: [pairs("Images/Train", "GT") | {"Images/Test/9.jpg": picture(".jpg"), "GT/9.png": mask()}],
    "leaf_disease": lambda: [pairs("data/data/images", "data/data/masks")],
    "isic2017": lambda: [
        pairs("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", ending="_segmentation")
        | pairs("ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth", ending="_segmentation")
    ],
    "sbu": lambda: [
        pairs("SBUTrain4KRecoveredSmall/ShadowImages", "SBUTrain4KRecoveredSmall/ShadowMasks")
        | pairs("SBU-Test/ShadowImages", "SBU-Test/ShadowMasks")
    ],
    "roads": lambda: [ROADS],
    "trans10k": lambda: [
        pairs("train/images", "train/masks", ending="_mask", high=(255, 0, 0))
        | pairs("validation/easy/images", "validation/easy/masks", ending="_mask", high=(255, 255, 255))
    ],
    "trans10k_v2": lambda: [pairs("train/images", "train/masks_12", ending="_mask", high=1)],
}  # fmt: skip


def import_layout(layout: str, request: ImportRequest) -> None:
    """Import a folder as the command does, and decode every pair that came in."""
    work = request.folder.parent
    dataset = import_dataset(IMPORTERS[layout](request), request, work / "data" / "discs", pairs_only=True)
    for pair in dataset.pairs:
        read_pair(pair, dataset.card)


def register(layout: str, seeds: Callable[[], list[Files]]) -> None:
    @target(f"import {layout}", seeds, weight=0.25)
    def run(folder: Path) -> None:
        # Only one layout takes it, and asks for it.
        import_layout(layout, ImportRequest(folder, void="ignore" if layout == "coco_panoptic" else None))


for name, made in LAYOUTS.items():
    register(name, made)


@target("import pairs", lambda: [{**pairs("images", "masks"), "pairs.csv": LISTED}], weight=0.25)
def listed_pairs(folder: Path) -> None:
    import_layout("folder", ImportRequest(folder, pairs=folder / "pairs.csv"))


@target("import tiles", lambda: [ROADS], weight=0.25)
def tiles(folder: Path) -> None:
    import_layout("roads", ImportRequest(folder, tile_px=32))


@target(
    "archive",
    lambda: [
        {"a.zip": as_zip({"set/": b"", **pairs("set/images", "set/masks")})},
        {"a.tar": as_tar(pairs("images", "masks"))},
        {"a.tar.gz": as_tar(pairs("images", "masks"), "w:gz")},
    ],
    weight=0.5,
)
def archive(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        if is_archive(file):
            limits = Limits(free_bytes=200_000)
            with unpacked(file, limits) as inside:
                if not any(inside.iterdir()):
                    raise DataError(f"{file} is empty")
                recognise(inside)
                size = sum(path.stat().st_size for path in inside.rglob("*") if path.is_file())
                assert size <= limits.of(file), f"{size} bytes came out"
