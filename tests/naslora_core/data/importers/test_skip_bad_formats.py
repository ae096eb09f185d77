"""One odd entry of every format: it stops an import and is named, and with --skip-bad it alone is left out."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset, recognise
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.paint_report import paint_found
from naslora_core.errors import DataError

SIDE, NAMES = 24, ("n0", "n1", "n2", "n3")
FIRST, SECOND = (2, 2, 10, 10), (12, 12, 20, 20)


def box(x0: int, y0: int, x1: int, y1: int) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def inside(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    ids = np.zeros((SIDE, SIDE), np.uint8)
    for x0, y0, x1, y1 in boxes:
        ids[y0:y1, x0:x1] = 1
    return ids


BOTH = inside(FIRST, SECOND)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def images(root: Path, pattern: str = "{}.png") -> None:
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
        save(root / pattern.format(name), pixels)


def dump(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def edit(path: str, change: Callable[[Any], object]) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        content = json.loads((root / path).read_text())
        change(content)
        (root / path).write_text(json.dumps(content))

    return spoil


def broken(path: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_bytes(b"{ no") and None


def other_values(path: str) -> Callable[[Path], object]:
    return lambda root: save(root / path, np.full((SIDE, SIDE), 77, np.uint8))


def coco(root: Path) -> None:
    images(root)
    outlines = [(n, outline) for n in range(4) for outline in (FIRST, SECOND)]
    dump(root / "labels.json", {
        "images": [{"id": n, "file_name": f"{name}.png", "height": SIDE, "width": SIDE} for n, name in enumerate(NAMES)],
        "annotations": [{"id": k, "image_id": n, "category_id": 1, "segmentation": [np.ravel(box(*b)).tolist()]}
                        for k, (n, b) in enumerate(outlines)],
        "categories": [{"id": 1, "name": "leaf"}],
    })  # fmt: skip


def runs(*boxes: tuple[int, int, int, int]) -> list[int]:
    flat = inside(*boxes).T.ravel()
    return np.diff([0, *np.flatnonzero(np.diff(flat, prepend=0)), flat.size]).tolist()


def sa1b(root: Path) -> None:
    images(root)
    for name in NAMES:
        dump(root / f"{name}.json", {
            "image": {"file_name": f"{name}.png", "height": SIDE, "width": SIDE},
            "annotations": [{"id": k, "segmentation": {"size": [SIDE, SIDE], "counts": runs(b)}}
                            for k, b in enumerate((FIRST, SECOND))],
        })  # fmt: skip


def panoptic(root: Path) -> None:
    images(root / "images")
    for name in NAMES:
        save(root / f"panoptic/{name}.png", np.dstack([inside(FIRST) + 2 * inside(SECOND)] + [inside()] * 2))
    dump(root / "panoptic.json", {
        "images": [{"id": n, "file_name": f"{name}.png", "height": SIDE, "width": SIDE} for n, name in enumerate(NAMES)],
        "annotations": [{"image_id": n, "file_name": f"{name}.png",
                         "segments_info": [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 1}]}
                        for n, name in enumerate(NAMES)],
        "categories": [{"id": 1, "name": "leaf"}],
    })  # fmt: skip


def yolo(root: Path) -> None:
    images(root / "images/train")
    (root / "labels/train").mkdir(parents=True)
    for name in NAMES:
        corners = (np.ravel(box(x0, y0, x1 - 1, y1 - 1)) / SIDE for x0, y0, x1, y1 in (FIRST, SECOND))
        (root / f"labels/train/{name}.txt").write_text("".join(f"0 {' '.join(map(str, one))}\n" for one in corners))
    (root / "data.yaml").write_text("names: [leaf]\ntrain: images/train\n")


def kaggle(root: Path) -> None:
    images(root / "images")
    lines = ["ImageId,EncodedPixels"]
    for name in NAMES:
        for x0, y0, x1, y1 in (FIRST, SECOND):
            lines.append(f"{name}," + " ".join(f"{x * SIDE + y0 + 1} {y1 - y0}" for x in range(x0, x1)))
    (root / "train.csv").write_text("\n".join(lines))


def labelme(root: Path) -> None:
    images(root)
    for name in NAMES:
        shapes = [{"label": "leaf", "shape_type": "polygon", "points": box(x0, y0, x1 - 1, y1 - 1)}
                  for x0, y0, x1, y1 in (FIRST, SECOND)]  # fmt: skip
        dump(root / f"{name}.json", {"version": "6", "shapes": shapes, "imagePath": f"{name}.png",
                                     "imageHeight": SIDE, "imageWidth": SIDE, "imageData": None})  # fmt: skip


def label_studio(root: Path) -> None:
    images(root)
    dump(root / "export.json", [
        {"id": n, "data": {"image": f"/data/upload/1/{name}.png"}, "annotations": [{"id": n, "result": [
            {"id": f"r{k}", "original_width": SIDE, "original_height": SIDE, "type": "polygonlabels",
             "value": {"points": (np.array(box(*b)) / SIDE * 100).tolist(), "polygonlabels": ["leaf"]}}
            for k, b in enumerate((FIRST, SECOND))]}]} for n, name in enumerate(NAMES)
    ])  # fmt: skip


def label_studio_png(root: Path) -> None:
    images(root / "images")
    dump(root / "min.json", [{"id": n, "image": f"/data/upload/1/{name}.png"} for n, name in enumerate(NAMES)])
    for n in range(4):
        for k, outline in enumerate((FIRST, SECOND)):
            save(root / f"masks/task-{n}-annotation-{n}-by-1-tag-leaf-{k}.png", inside(outline) * 255)


def cvat(root: Path) -> None:
    images(root / "images")
    shapes = "".join(
        f'<polygon label="leaf" z_order="0" points="{";".join(f"{x},{y}" for x, y in box(*b))}"/>'
        for b in (FIRST, SECOND)
    )
    parts = [f'<image id="{n}" name="{name}.png" width="{SIDE}" height="{SIDE}">{shapes}</image>\n'
             for n, name in enumerate(NAMES)]  # fmt: skip
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(parts)}</annotations>")


def datumaro(root: Path) -> None:
    images(root / "images/train")
    dump(root / "annotations/train.json", {
        "info": {}, "categories": {"label": {"labels": [{"name": "leaf"}]}},
        "items": [{"id": name, "image": {"path": f"{name}.png", "size": [SIDE, SIDE]}, "annotations": [
            {"id": k, "type": "polygon", "label_id": 0, "points": np.ravel(box(*b)).tolist(), "z_order": 0}
            for k, b in enumerate((FIRST, SECOND))]} for name in NAMES],
    })  # fmt: skip


def object_masks(root: Path) -> None:
    for name in NAMES:
        images(root / name / "images")
        for other in set(NAMES) - {name}:
            (root / name / "images" / f"{other}.png").unlink()
        for k, outline in enumerate((FIRST, SECOND)):
            save(root / name / f"masks/{k}.png", inside(outline) * 255)


def imagej(root: Path) -> None:
    roifile = pytest.importorskip("roifile")
    images(root)
    for name in NAMES:
        roifile.roiwrite(root / f"{name}.zip", [roifile.ImagejRoi.frompoints(np.array(box(*b)), name=f"r{k}")
                                                for k, b in enumerate((FIRST, SECOND))])  # fmt: skip


def bad_roi(root: Path) -> None:
    import zipfile

    with zipfile.ZipFile(root / "n1.zip") as archive:
        first = archive.namelist()[0]
        content = archive.read(first)
    with zipfile.ZipFile(root / "n1.zip", "w") as archive:
        archive.writestr(first, content)
        archive.writestr("odd.roi", b"Iout but no more")


def qupath(root: Path) -> None:
    images(root)
    for name in NAMES:
        features = [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[*box(*b), box(*b)[0]]]},
                     "properties": {}} for b in (FIRST, SECOND)]  # fmt: skip
        dump(root / f"{name}.geojson", {"type": "FeatureCollection", "features": features})


def arrays(root: Path) -> None:
    images(root)
    for name in NAMES:
        np.save(root / f"{name}.npy", BOTH)


def nnunet(root: Path) -> None:
    images(root / "imagesTr", "{}_0000.png")
    for name in NAMES:
        save(root / f"labelsTr/{name}.png", BOTH)
    dump(root / "dataset.json", {"labels": {"background": 0, "leaf": 1}, "file_ending": ".png"})


def roboflow(root: Path) -> None:
    images(root / "train", "{}.jpg")
    for name in NAMES:
        save(root / f"train/{name}_mask.png", BOTH)
    (root / "train/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, leaf\n")


def voc(root: Path) -> None:
    images(root / "JPEGImages", "{}.jpg")
    for name in NAMES:
        save(root / f"SegmentationClass/{name}.png", BOTH)
    (root / "class_names.txt").write_text("leaf\n")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(NAMES))


def line(path: str, text: str) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        lines = (root / path).read_text().splitlines()
        (root / path).write_text("\n".join([*lines[:3], text, *lines[4:]] if len(lines) > 3 else [lines[0], text]))

    return spoil


def size_of(path: str) -> Callable[[Path], object]:
    return lambda root: save(root / path, np.full((SIDE, SIDE + 6, 3), 90, np.uint8))


@dataclass(frozen=True)
class Odd:
    """A format, how one entry of it is spoiled, what the message names, and what is left: n1's objects, or no n1."""

    layout: str
    write: Callable[[Path], None]
    spoil: Callable[[Path], object]
    says: tuple[str, ...]
    keeps: bool
    options: tuple[tuple[str, Any], ...] = ()


def without_n1(root: Path) -> None:
    (root / "JPEGImages/n1.jpg").unlink()
    (root / "SegmentationClass/n1.png").unlink()


VOID = (("void", "background"),)
# One line a case reads as a table.
# ruff: noqa: E501
CASES = [
    Odd("coco", coco, edit("labels.json", lambda c: c["annotations"][3].update(segmentation=[[1, "x", 3, 4, 5, 6]])), ("labels.json", "annotation 3"), True),
    Odd("coco", coco, edit("labels.json", lambda c: c["annotations"][3].update(category_id=9)), ("labels.json", "annotation 3"), True),
    Odd("coco", coco, edit("labels.json", lambda c: c["images"][1].update(width=0)), ("labels.json", "image 1"), False),
    Odd("coco", coco, edit("labels.json", lambda c: c["images"].append(c["images"][1] | {"id": 7}) or c["annotations"].append(c["annotations"][2] | {"image_id": 7})), ("n1.png", "more than once"), True),
    Odd("coco", coco, size_of("n1.png"), ("labels.json", "n1.png has 30 x 24"), False),
    Odd("coco_panoptic", panoptic, edit("panoptic.json", lambda c: c["annotations"][1]["segments_info"].pop()), ("panoptic/n1.png", "does not list: 2"), False, VOID),
    Odd("coco_panoptic", panoptic, edit("panoptic.json", lambda c: c["annotations"][1].update(file_name="lost.png")), ("panoptic.json", "lost.png"), False, VOID),
    Odd("coco_panoptic", panoptic, edit("panoptic.json", lambda c: c["annotations"][1]["segments_info"][0].update(category_id=8)), ("panoptic.json", "n1.png"), False, VOID),
    Odd("sa1b", sa1b, edit("n1.json", lambda c: c["annotations"][1].pop("segmentation")), ("n1.json", "annotation 2"), True),
    Odd("sa1b", sa1b, edit("n1.json", lambda c: c["annotations"][1]["segmentation"].update(counts=[3])), ("n1.json", "annotation 1"), True),
    Odd("sa1b", sa1b, broken("n1.json"), ("n1.json",), False),
    Odd("yolo", yolo, line("labels/train/n1.txt", "0 0.5 0.5 0.1 0.1"), ("n1.txt line 2", "box"), True),
    Odd("kaggle_rle", kaggle, lambda root: (root / "train.csv").write_text((root / "train.csv").read_text().replace("\nn1,301", "\nn1,9999999 1 301")), ("train.csv", "line"), True),
    Odd("kaggle_rle", kaggle, lambda root: (root / "images/n1.png").unlink(), ("train.csv", "'n1' is not in the folder"), False),
    Odd("labelme", labelme, edit("n1.json", lambda c: c["shapes"][1].update(points=[[1, 1]])), ("n1.json", "shape 1"), True),
    Odd("labelme", labelme, edit("n1.json", lambda c: c["shapes"][1].update(label=7)), ("n1.json", "shape 1"), True),
    Odd("labelme", labelme, broken("n1.json"), ("n1.json",), False),
    Odd("labelme", labelme, size_of("n1.png"), ("n1.json", "n1.png has 30 x 24"), False),
    Odd("label_studio", label_studio, edit("export.json", lambda c: c[1]["annotations"][0]["result"][1]["value"].update(points=[[1, 1]])), ("export.json", "task 1", "r1"), True),
    Odd("label_studio", label_studio, edit("export.json", lambda c: c[1]["annotations"][0]["result"][1]["value"].update(polygonlabels=[5])), ("export.json", "r1"), True),
    Odd("label_studio", label_studio, edit("export.json", lambda c: c[1].update(data={})), ("export.json", "image"), False),
    Odd("label_studio_png", label_studio_png, lambda root: save(root / "masks/task-1-annotation-1-by-1-tag-leaf-1.png", np.ones((3, 4), np.uint8)), ("task-1-annotation-1-by-1-tag-leaf-1.png", "4 x 3"), True),
    Odd("label_studio_png", label_studio_png, broken("masks/task-1-annotation-1-by-1-tag-leaf-1.png"), ("task-1-annotation-1-by-1-tag-leaf-1.png",), True),
    Odd("cvat", cvat, lambda root: (root / "annotations.xml").write_text((root / "annotations.xml").read_text().replace('n1.png" width="24"', 'n1.png" width="x"')), ("annotations.xml", "'x'"), False),
    Odd("cvat", cvat, lambda root: (root / "annotations.xml").write_text('points="20,y'.join((root / "annotations.xml").read_text().rsplit('points="12,12', 3)[:2]) + 'points="12,12'.join(["", *(root / "annotations.xml").read_text().rsplit('points="12,12', 2)[1:]])), ("annotations.xml", "n1.png", "polygon 2"), True),
    Odd("datumaro", datumaro, edit("annotations/train.json", lambda c: c["items"][1]["annotations"][1].update(points=[1, 2, 3])), ("train.json", "item n1, annotation 1"), True),
    Odd("datumaro", datumaro, edit("annotations/train.json", lambda c: c["items"][1]["annotations"][1].update(label_id=4)), ("train.json", "n1"), True),
    Odd("datumaro", datumaro, edit("annotations/train.json", lambda c: c["items"][1].update(id=5)), ("train.json", "the id 5"), False),
    Odd("object_masks", object_masks, broken("n1/masks/1.png"), ("n1/masks/1.png",), True),
    Odd("object_masks", object_masks, lambda root: save(root / "n1/masks/1.png", inside(SECOND) * 9 + inside((0, 20, 4, 24))), ("n1/masks/1.png", "values 1, 9"), True),
    Odd("imagej", imagej, bad_roi, ("n1.zip", "odd.roi"), True),
    Odd("imagej", imagej, broken("n1.zip"), ("n1.zip",), False),
    Odd("qupath", qupath, edit("n1.geojson", lambda c: c["features"][1]["geometry"].update(coordinates=[[[1, 2]]])), ("n1.geojson", "feature 2"), True),
    Odd("qupath", qupath, broken("n1.geojson"), ("n1.geojson",), False),
    Odd("label_arrays", arrays, broken("n1.npy"), ("n1.npy",), False),
    Odd("label_arrays", arrays, lambda root: np.save(root / "n1.npy", BOTH * 7), ("arrays have the values 7",), False, (("classes", {"leaf": (1,)}),)),
    Odd("nnunet", nnunet, lambda root: (root / "imagesTr/n1_0000.png").rename(root / "imagesTr/n1_0007.png"), ("'n1' has the channels 0007",), False),
    Odd("voc", voc, without_n1, ("'n1'", "neither"), False),
]  # fmt: skip


@pytest.mark.parametrize("odd", CASES, ids=lambda odd: f"{odd.layout}-{'-'.join(odd.says)[:40]}")
def test_an_odd_entry_stops_the_import_or_is_left_out_alone(odd: Odd, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    odd.write(root)
    odd.spoil(root)
    options = dict(odd.options)
    assert recognise(root).name == odd.layout
    request = ImportRequest(root, **options)
    with pytest.raises(DataError) as caught:
        import_dataset(IMPORTERS[odd.layout](request), request, tmp_path / "stopped")
    for words in odd.says:
        assert words in str(caught.value)
    request = ImportRequest(root, left_out=LeftOut(skip=True), **options)
    found = IMPORTERS[odd.layout](request)
    # As --dry-run does, which leaves out the same.
    paint_found(found)
    dataset = import_dataset(found, request, tmp_path / "made", pairs_only=True)
    assert len(request.left_out.errors) == 1, list(request.left_out.errors)
    masks = {pair.name: read_class_ids(pair.mask, dataset.card) for pair in dataset.pairs if pair.mask}
    assert sorted(masks) == [name for name in NAMES if odd.keeps or name != "n1"]
    for name, mask in masks.items():
        wanted = BOTH if name != "n1" or "more than once" in odd.says else inside(FIRST)
        np.testing.assert_array_equal(mask, wanted, err_msg=name)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("layout", "write", "mask", "legend"),
    [
        ("nnunet", nnunet, "labelsTr/n1.png", "dataset.json"),
        ("roboflow_masks", roboflow, "train/n1_mask.png", "_classes.csv"),
        ("voc", voc, "SegmentationClass/n1.png", "class_names.txt"),
    ],
)
def test_a_value_that_no_legend_names_is_a_choice_and_no_odd_file(
    layout: str, write: Callable[[Path], None], mask: str, legend: str, skip: bool, tmp_path: Path
) -> None:
    write(tmp_path)
    other_values(mask)(tmp_path)
    with pytest.raises(DataError, match=rf"{legend} does not name .*77 \(25 % .*{Path(mask).name}"):
        IMPORTERS[layout](ImportRequest(tmp_path, left_out=LeftOut(skip)))


def cellpose(root: Path) -> None:
    images(root)
    for name in NAMES:
        save(root / f"{name}_cp_masks.png", BOTH)


def cvat_masks(root: Path) -> None:
    images(root / "JPEGImages")
    for name in NAMES:
        save(root / f"SegmentationClass/{name}.png", np.dstack([BOTH * 200, BOTH * 0, BOTH * 0]))
    (root / "labelmap.txt").write_text("background:0,0,0::\nleaf:200,0,0::\n")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(NAMES))


WRITERS = {
    "coco": coco, "coco_panoptic": panoptic, "sa1b": sa1b, "yolo": yolo, "kaggle_rle": kaggle, "labelme": labelme,
    "label_studio": label_studio, "label_studio_png": label_studio_png, "cvat": cvat, "cvat_masks": cvat_masks,
    "datumaro": datumaro, "object_masks": object_masks, "imagej": imagej, "qupath": qupath, "label_arrays": arrays,
    "cellpose": cellpose, "nnunet": nnunet, "roboflow_masks": roboflow, "voc": voc,
}  # fmt: skip


@pytest.mark.parametrize("renamed", ["images", "all"])
@pytest.mark.parametrize("layout", WRITERS)
def test_names_on_the_disk_may_have_the_other_unicode_form(
    layout: str, renamed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [unicodedata.normalize("NFC", f"\u00fc{number}") for number in range(4)]
    monkeypatch.setitem(globals(), "NAMES", names)
    WRITERS[layout](tmp_path / "in")
    for path in sorted((tmp_path / "in").rglob("*"), reverse=True):
        # As macOS writes names into archives; images alone, where only these come from there.
        is_image = path.suffix in (".png", ".jpg") and not {"masks", "panoptic"} & set(path.parts)
        if renamed == "all" or (is_image and "Segmentation" not in str(path) and "mask" not in path.name):
            path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    request = ImportRequest(tmp_path / "in", void="background" if layout == "coco_panoptic" else None)
    assert recognise(tmp_path / "in").name == layout
    dataset = import_dataset(IMPORTERS[layout](request), request, tmp_path / "made")
    assert [pair.name for pair in dataset.pairs] == names
    for pair in dataset.pairs:
        assert pair.image is not None
        assert pair.mask is not None
        np.testing.assert_array_equal(read_class_ids(pair.mask, dataset.card), BOTH, err_msg=pair.name)
