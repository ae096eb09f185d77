"""Every layout, drawn as its authors publish it, comes in with the right counts, splits, groups, classes and pixels."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.config import load_params
from naslora_core.data.dataset.dataset import Dataset, fingerprint
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset, recognise
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import DataError
from naslora_core.progress import silent
from stages import preprocess, validate
from stages.paths import StagePaths

SIDE = 48
PARAMS = Path(__file__).parents[4] / "params.yaml"
SETTINGS = ["train.view=whole", "quality.min_pairs=1", "quality.min_side_px=32", "model.image_size=64"]


@dataclass
class Drawn:
    """What a layout holds: where it begins, what is in its masks by name of the pair, and what else must come out.

    `splits`: train, validation, test; None if they are drawn.
    """

    request: ImportRequest
    ids: dict[str, np.ndarray]
    classes: tuple[str, ...]
    splits: tuple[int, int, int] | None
    groups: dict[str, str] = field(default_factory=dict)


class Painter:
    """Draws images that differ at first sight, each with a rectangle of every class."""

    def __init__(self, seed: int, classes: int = 1) -> None:
        self._rng = np.random.default_rng(seed)
        self._classes = classes

    def image(self, path: Path, side: int = SIDE) -> np.ndarray:
        blocks = self._rng.integers(0, 255, (6, 6, 3))
        pixels = np.kron(blocks, np.ones((side // 6, side // 6, 1))).astype(np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels

    def ids(self, side: int = SIDE) -> np.ndarray:
        ids = np.zeros((side, side), np.uint8)
        for number in range(1, self._classes + 1):
            top, left = self._rng.integers(2, side - 16, 2)
            ids[top : top + self._rng.integers(6, 14), left : left + self._rng.integers(6, 14)] = number
        return ids

    def pair(self, image: Path, mask: Path, foreground: int | tuple[int, int, int] = 255) -> np.ndarray:
        self.image(image)
        ids = self.ids()
        save(mask, ids[..., None] * np.uint8(foreground) if isinstance(foreground, tuple) else ids * foreground)
        return ids


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def draw_kvasir(root: Path) -> Drawn:
    painter, ids = Painter(1), {}
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for number in range(count):
            place = root / "Kvasir-SEG" / split
            ids[f"{split}_{number}"] = painter.pair(place / f"images/{number}.jpg", place / f"masks/{number}.jpg")
    return Drawn(ImportRequest(root / "Kvasir-SEG"), ids, ("polyp",), (4, 2, 2))


def draw_kvasir_official(root: Path) -> Drawn:
    painter, place = Painter(2), root / "Kvasir-SEG"
    ids = {name: painter.pair(place / f"images/{name}.jpg", place / f"masks/{name}.jpg") for name in "abcdefgh"}
    (place / "kavsir_bboxes.json").write_text("{}")
    return Drawn(ImportRequest(root), ids, ("polyp",), None)


def draw_clinicdb(root: Path) -> Drawn:
    """Frames of four videos, of which the last ends with the data."""
    painter, videos = Painter(3), {1: "01", 25: "01", 26: "02", 204: "10", 205: "10", 612: "29"}
    ids = {str(n): painter.pair(root / f"Original/{n}.tif", root / f"Ground Truth/{n}.tif") for n in videos}
    return Drawn(ImportRequest(root), ids, ("polyp",), None, {str(n): f"video_{v}" for n, v in videos.items()})


def draw_clinicdb_of_kaggle(root: Path) -> Drawn:
    painter, ids = Painter(4), {}
    videos = {"1": "1", "2": "1", "3": "2", "4": "3"}
    for name in videos:
        for form in ("PNG", "TIF"):
            place = root / form
            suffix = form.lower()
            drawn = painter.pair(place / f"Original/{name}.{suffix}", place / f"Ground Truth/{name}.{suffix}")
            ids.setdefault(name, drawn)
    lines = [f"{name},{video},PNG/Original/{name}.png" for name, video in videos.items()]
    (root / "metadata.csv").write_text("frame_id,sequence_id,png_image_path\n" + "\n".join(lines))
    return Drawn(ImportRequest(root), ids, ("polyp",), None, {n: f"video_0{v}" for n, v in videos.items()})


def draw_isic2017(root: Path) -> Drawn:
    painter, ids, number = Painter(5), {}, 0
    for part, count in (("Training", 4), ("Validation", 2), ("Test_v2", 3)):
        images, masks = root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"
        for _ in range(count):
            name = f"ISIC_{number:07d}"
            ids[name] = painter.pair(images / f"{name}.jpg", masks / f"{name}_segmentation.png")
            painter.image(images / f"{name}_superpixels.png")
            number += 1
        (images / f"ISIC-2017_{part}_Data_metadata.csv").write_text("image_id,age_approximate,sex\n")
    return Drawn(ImportRequest(root), ids, ("lesion",), (4, 2, 3))


def draw_camo(root: Path) -> Drawn:
    painter, place = Painter(6), root / "CAMO-V.1.0-CVIU2019"
    ids = {}
    for number in range(9):
        name = f"camourflage_{number:05d}"
        part = "Train" if number < 6 else "Test"
        ids[name] = painter.pair(place / f"Images/{part}/{name}.jpg", place / f"GT/{name}.png")
    return Drawn(ImportRequest(root), ids, ("camouflaged",), (5, 1, 3))


def draw_sbu(root: Path) -> Drawn:
    painter, ids = Painter(7), {}
    for part, count in (("SBUTrain4KRecoveredSmall", 6), ("SBU-Test", 2)):
        for number in range(count):
            name = f"lssd{number}"
            place = root / "SBU-shadow" / part
            ids[f"{part}_{name}"] = painter.pair(place / f"ShadowImages/{name}.jpg", place / f"ShadowMasks/{name}.png")
    return Drawn(ImportRequest(root), ids, ("shadow",), (5, 1, 2))


def draw_leaf_disease(root: Path) -> Drawn:
    painter, ids = Painter(8), {}
    for number in range(6):
        place = root / "data/data"
        painter.image(place / f"images/{number:05d}.jpg")
        ids[f"{number:05d}"] = painter.ids()
        save(place / f"masks/{number:05d}.png", ids[f"{number:05d}"][..., None] * np.array([128, 0, 0]))
        painter.pair(root / f"aug_data/aug_data/images/{number:05d}_aug.jpg",
                     root / f"aug_data/aug_data/masks/{number:05d}_aug.png")  # fmt: skip
    return Drawn(ImportRequest(root), ids, ("disease",), None)


def draw_roads(root: Path) -> Drawn:
    painter, ids, groups = Painter(9), {}, {}
    for part, count in (("train", 2), ("val", 1), ("test", 1)):
        for number in range(count):
            scene = f"{part}{number}_15"
            pixels, labels = painter.image(root / f"tiff/{part}/{scene}.tiff", 2 * SIDE), painter.ids(2 * SIDE)
            labels[10:20] = labels[60:70] = 1
            if scene == "train0_15":
                pixels[:SIDE, SIDE:] = 255
                save(root / f"tiff/{part}/{scene}.tiff", pixels)
            save(root / f"tiff/{part}_labels/{scene}.tif", np.repeat(labels[..., None] * 255, 3, axis=2))
            for row in range(2):
                for column in range(2):
                    if (scene, row, column) != ("train0_15", 0, 1):
                        name = f"{scene}_{row}_{column}"
                        ids[name] = labels[row * SIDE :, column * SIDE :][:SIDE, :SIDE]
                        groups[name] = scene
    return Drawn(ImportRequest(root, tile_px=SIDE), ids, ("road",), (7, 4, 4), groups)


def draw_trans10k(root: Path) -> Drawn:
    painter, ids = Painter(10, classes=2), {}
    colours = np.array([[0, 0, 0], [255, 0, 0], [255, 255, 255]])
    parts = ("train", "validation/easy", "validation/hard", "test/easy", "test/hard")
    for part, count in zip(parts, (3, 1, 1, 2, 1), strict=True):
        for number in range(1, count + 1):
            painter.image(root / part / f"images/{number}.jpg")
            name = f"{part.replace('/', '_')}_{number}"
            ids[name] = painter.ids()
            save(root / part / f"masks/{number}_mask.png", colours[ids[name]])
    return Drawn(ImportRequest(root), ids, ("thing", "stuff"), (3, 2, 3))


def draw_trans10k_v2(root: Path) -> Drawn:
    painter, ids, number = Painter(11, classes=11), {}, 0
    for part, count in (("train", 3), ("validation", 2), ("test", 2)):
        for _ in range(count):
            number += 1
            painter.image(root / part / f"images/{number}.jpg")
            ids[str(number)] = painter.ids()
            save(root / part / f"masks_12/{number}_mask.png", ids[str(number)])
    return Drawn(ImportRequest(root), ids, CLASSES_V2, (3, 2, 2))


# https://arxiv.org/abs/2101.08461, in the order of the numbers in the masks.
CLASSES_V2 = ("shelf", "jar or tank", "freezer", "window", "glass door", "eyeglass", "cup", "floor glass",
                "glass bowl", "water bottle", "storage box")  # fmt: skip


def draw_coco(root: Path) -> Drawn:
    painter, ids = Painter(12), {}
    for split, count in (("train2017", 4), ("val2017", 2)):
        images, annotations = [], []
        for number in range(count):
            name = f"{split}_{number:03d}"
            painter.image(root / split / f"{name}.jpg")
            images.append({"id": number, "file_name": f"{name}.jpg", "height": SIDE, "width": SIDE})
            truth = ids[name] = np.zeros((SIDE, SIDE), np.uint8)
            for category, (x0, y0, x1, y1) in ((3, (5, 5, 40, 40)), (7, (10 + number, 12, 20, 30))):
                truth[y0:y1, x0:x1] = {3: 1, 7: 2}[category]
                corners = [x0, y0, x1, y0, x1, y1, x0, y1]
                annotations.append(
                    {"id": len(annotations), "image_id": number, "category_id": category, "segmentation": [corners]}
                )
        # The smaller object is seen whichever comes last.
        annotations.reverse()
        categories = [{"id": 7, "name": "person"}, {"id": 3, "name": "sofa"}, {"id": 1, "name": "never seen"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))
        (root / f"annotations/person_keypoints_{split}.json").write_text(json.dumps(content))
    return Drawn(ImportRequest(root), ids, ("sofa", "person"), (3, 2, 1))


def draw_yolo(root: Path) -> Drawn:
    painter, ids = Painter(13), {}
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        for number in range(count):
            name = f"{part}{number}"
            painter.image(root / f"images/{part}/{name}.png")
            truth = ids[name] = np.zeros((SIDE, SIDE), np.uint8)
            truth[12:36, 12:36], truth[18:24, 24 : 30 + number] = 2, 1
            # Corners are the pixels that belong to an object.
            corners = [(1, 12, 12, 35, 35), (0, 24, 18, 29 + number, 23)]
            lines = [
                f"{c} " + " ".join(f"{value / SIDE:.6f}" for value in (x0, y0, x1, y0, x1, y1, x0, y1))
                for c, x0, y0, x1, y1 in corners
            ]
            (root / f"labels/{part}").mkdir(parents=True, exist_ok=True)
            (root / f"labels/{part}/{name}.txt").write_text("\n".join(lines) + "\n")
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\ntest: images/test\n"
                                    "names: {0: bolt, 1: plate}\n")  # fmt: skip
    return Drawn(ImportRequest(root), ids, ("bolt", "plate"), (4, 2, 2))


def draw_coco_panoptic(root: Path) -> Drawn:
    painter, ids, images, annotations = Painter(15, classes=2), {}, [], []
    for number in range(8):
        painter.image(root / f"images/{number}.jpg")
        ids[str(number)] = truth = painter.ids()
        truth[-1, -1] = 1
        segments = [{"id": 300 * int(n), "category_id": int(n)} for n in np.unique(truth) if n]
        numbers = truth.astype(int) * 300
        save(root / f"panoptic/{number}.png", np.stack([numbers % 256, numbers // 256, numbers * 0], axis=-1))
        images.append({"id": number, "file_name": f"{number}.jpg", "height": SIDE, "width": SIDE})
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": segments})
    categories = [{"id": 1, "name": "person", "isthing": 1}, {"id": 2, "name": "grass", "isthing": 0}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "panoptic.json").write_text(json.dumps(content))
    return Drawn(ImportRequest(root, void="background"), ids, ("person", "grass"), None)


def draw_sa1b(root: Path) -> Drawn:
    painter, ids = Painter(16), {}
    for number in range(8):
        name = f"sa_{number}"
        painter.image(root / f"{name}.jpg")
        ids[name] = truth = painter.ids()
        counts = np.diff([0, *np.flatnonzero(np.diff(truth.T.ravel(), prepend=0)), SIDE * SIDE]).tolist()
        image = {"image_id": number, "file_name": f"{name}.jpg", "height": SIDE, "width": SIDE}
        annotations = [{"id": 1, "segmentation": {"size": [SIDE, SIDE], "counts": counts}}]
        (root / f"{name}.json").write_text(json.dumps({"image": image, "annotations": annotations}))
    return Drawn(ImportRequest(root), ids, ("object",), None)


def draw_kaggle_rle(root: Path) -> Drawn:
    painter, ids, lines = Painter(17), {}, ["ImageId,EncodedPixels"]
    for number in range(8):
        painter.image(root / f"stage1/{number}/images/{number}.png")
        ids[str(number)] = truth = painter.ids()
        edges = np.flatnonzero(np.diff(np.concatenate([[0], truth.T.ravel(), [0]]).astype(int))).reshape(-1, 2)
        lines.append(f"{number}," + " ".join(f"{start + 1} {end - start}" for start, end in edges))
    (root / "labels.csv").write_text("\n".join(lines))
    return Drawn(ImportRequest(root), ids, ("object",), None)


def draw_folder(root: Path) -> Drawn:
    painter, ids = Painter(14, classes=2), {}
    for number in range(8):
        painter.image(root / f"images/{number}.png")
        ids[str(number)] = painter.ids()
        save(root / f"labels/{number}.png", np.array([0, 10, 20])[ids[str(number)]])
    return Drawn(ImportRequest(root, classes={"crop": (10,), "weed": (20,)}), ids, ("crop", "weed"), None)


LAYOUTS: dict[str, tuple[str, Callable[[Path], Drawn]]] = {
    "kvasir": ("kvasir", draw_kvasir),
    "kvasir as published": ("kvasir", draw_kvasir_official),
    "clinicdb": ("clinicdb", draw_clinicdb),
    "clinicdb of kaggle": ("clinicdb", draw_clinicdb_of_kaggle),
    "isic2017": ("isic2017", draw_isic2017),
    "camo": ("camo", draw_camo),
    "sbu": ("sbu", draw_sbu),
    "leaf_disease": ("leaf_disease", draw_leaf_disease),
    "roads": ("roads", draw_roads),
    "trans10k": ("trans10k", draw_trans10k),
    "trans10k_v2": ("trans10k_v2", draw_trans10k_v2),
    "coco": ("coco", draw_coco),
    "coco_panoptic": ("coco_panoptic", draw_coco_panoptic),
    "sa1b": ("sa1b", draw_sa1b),
    "kaggle_rle": ("kaggle_rle", draw_kaggle_rle),
    "yolo": ("yolo", draw_yolo),
    "folder": ("folder", draw_folder),
}


def import_layout(case: str, tmp_path: Path) -> tuple[Drawn, Dataset]:
    layout, draw = LAYOUTS[case]
    drawn = draw(tmp_path / "published")
    target = tmp_path / "data" / "domain"
    return drawn, import_dataset(IMPORTERS[layout](drawn.request), drawn.request, target)


def test_every_layout_there_is_gets_tested() -> None:
    # Layouts that tools write have tests of their own, beside the files that these tools wrote.
    elsewhere = {name for name in IMPORTERS if IMPORTERS[name].find.__module__.split(".")[-2] in ("drawn", "labelled")}
    assert {layout for layout, _ in LAYOUTS.values()} == set(IMPORTERS) - elsewhere
    tested = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*/test_*.py"))
    assert [name for name in elsewhere if f'"{name}"' not in tested] == []


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_comes_in_whole(case: str, tmp_path: Path) -> None:
    drawn, dataset = import_layout(case, tmp_path)
    assert {pair.name for pair in dataset.pairs} == set(drawn.ids)
    assert dataset.card.classes == drawn.classes
    for pair in dataset.pairs:
        assert pair.image is not None
        assert pair.mask is not None
        truth = drawn.ids[pair.name]
        assert read_image(pair.image).shape == (*truth.shape, 3)
        np.testing.assert_array_equal(read_class_ids(pair.mask, dataset.card), truth, err_msg=pair.name)
    assert {pair.name: pair.group for pair in dataset.pairs} == {
        name: drawn.groups.get(name, name) for name in drawn.ids
    }


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_published_split_is_kept_and_another_one_drawn_without_parting_groups(case: str, tmp_path: Path) -> None:
    drawn, dataset = import_layout(case, tmp_path)
    counts = tuple(len(dataset.of_split(split)) for split in ("train", "validation", "test"))
    if drawn.splits is None:
        assert dataset.card.split.kind == "random"
        assert min(counts) > 0
    else:
        assert dataset.card.split.kind == "listed"
        assert counts == drawn.splits
    for group in {pair.group for pair in dataset.pairs}:
        assert len({pair.split for pair in dataset.pairs if pair.group == group}) == 1


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_is_recognised(case: str, tmp_path: Path) -> None:
    layout, draw = LAYOUTS[case]
    assert recognise(draw(tmp_path / "published").request.folder).name == layout


@pytest.mark.parametrize("case", LAYOUTS)
def test_what_comes_in_is_preprocessed(case: str, tmp_path: Path) -> None:
    drawn, dataset = import_layout(case, tmp_path)
    paths = StagePaths(tmp_path)
    cleared = paths.output("validate", "domain") / "clearance.json"
    cleared.parent.mkdir(parents=True)
    cleared.write_text(json.dumps({"passed": True, "dataset_sha256": fingerprint(dataset)}))
    preprocess.main("domain", load_params(PARAMS, SETTINGS), paths, silent)
    for split in ("train", "validation", "test"):
        prepared = load_prepared(paths.output("preprocess", "domain"), split)
        assert prepared.classes == drawn.classes
        assert sorted(prepared.names) == [pair.name for pair in dataset.of_split(split)]
        for name, mask in zip(prepared.names, prepared.masks, strict=True):
            assert set(np.unique(mask)) == set(np.unique(drawn.ids[name]))


@pytest.mark.parametrize("case", ["roads", "trans10k"])
def test_what_comes_in_passes_the_gate(case: str, tmp_path: Path) -> None:
    """One layout of painted masks in groups, one of several classes by colour; Great Expectations takes its time."""
    import_layout(case, tmp_path)
    validate.main("domain", load_params(PARAMS, SETTINGS), StagePaths(tmp_path), silent)
    assert json.loads((StagePaths(tmp_path).output("validate", "domain") / "clearance.json").read_text())["passed"]


def test_tiles_that_are_mostly_white_are_counted(tmp_path: Path) -> None:
    drawn = draw_roads(tmp_path)
    assert IMPORTERS["roads"](drawn.request).notes == (
        "1 tiles were left out: more than half of each was never photographed",
    )


def test_scenes_come_in_whole_without_a_tile_size(tmp_path: Path) -> None:
    draw_roads(tmp_path)
    found = IMPORTERS["roads"](ImportRequest(tmp_path))
    assert len(found.sources) == 4
    assert (found.mask_threshold, found.mask_values, found.notes) == (128, None, ())


@pytest.mark.parametrize(("length", "starts"), [(1500, [0, 494, 988]), (512, [0]), (100, [0]), (1024, [0, 512])])
def test_tiles_cover_a_scene_to_its_edge(length: int, starts: list[int]) -> None:
    from naslora_core.geometry.tiling import tile_starts

    assert tile_starts(length, 512) == starts
    assert starts[-1] + 512 >= length


def test_a_frame_that_no_video_is_known_for_is_refused(tmp_path: Path) -> None:
    drawn = draw_clinicdb(tmp_path)
    for kind in ("Original", "Ground Truth"):
        (tmp_path / kind / "612.tif").rename(tmp_path / kind / "613.tif")
    with pytest.raises(DataError, match="'613' is not a frame of CVC-ClinicDB, which has 1 to 612"):
        IMPORTERS["clinicdb"](drawn.request)


def test_plain_folders_are_recognised_only_if_nothing_else_fits(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / "polyps" / name).mkdir(parents=True)
    assert recognise(tmp_path / "polyps").name == "folder"
    (tmp_path / "polyps/masks").rename(tmp_path / "polyps/other")
    with pytest.raises(DataError, match=r"has none of the layouts camo, .*clinicdb, .*; it holds polyps"):
        recognise(tmp_path)


def test_a_folder_with_two_layouts_has_to_be_told_which(tmp_path: Path) -> None:
    draw_camo(tmp_path)
    draw_yolo(tmp_path / "parts")
    with pytest.raises(DataError, match="could be any of camo, yolo; say which"):
        recognise(tmp_path)


def test_a_layout_that_is_there_twice_is_not_chosen_from(tmp_path: Path) -> None:
    draw_camo(tmp_path / "a")
    draw_camo(tmp_path / "b")
    with pytest.raises(DataError, match="holds the layout camo 2 times: a/CAMO.*, b/CAMO.*; name one"):
        IMPORTERS["camo"](ImportRequest(tmp_path))
