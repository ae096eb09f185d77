"""Every format that annotators have is tried with ten scenes, here or where `ELSEWHERE` says; exceptions are named."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import IMPORTERS, Found, ImportRequest, import_dataset
from tests.naslora_core.data.importers.labelled.cases import HEIGHT, KINDS, WIDTH, auto, drawn, write_image, write_mask

# Ids of Cityscapes.
IDS = {"road": 7, "person": 24, "car": 26}
# The test of each format that compares all scenes with the masks of its tool, and by which list it knows them.
ELSEWHERE = {
    "coco_panoptic": ("test_run_length_formats", "test_panoptic_segments_are_pixel_for_pixel_those_of_the_png"),
    "sa1b": ("test_run_length_formats", "test_sa1b_masks_are_painted_from_both_kinds_of_run_lengths"),
    "kaggle_rle": ("test_run_length_formats", "test_kaggle_runs_are_numbered_from_one_on_down_the_columns"),
    "labelme": ("drawn.test_labelme", "test_masks_are_those_that_labelme_paints"),
    "label_studio": ("drawn.test_label_studio", "test_masks_are_those_of_the_export_of_a_server"),
    "label_studio_png": (
        "drawn.test_label_studio",
        "test_png_files_of_strokes_with_the_json_min_that_names_the_images",
    ),
    "cvat": ("drawn.test_cvat", "test_masks_are_those_that_datumaro_makes_of_cvat"),
    "cvat_masks": ("drawn.test_cvat", "test_colours_of_masks_mean_what_labelmap_says"),
    "datumaro": ("drawn.test_datumaro", "test_masks_are_those_that_datumaro_merges"),
    "object_masks": ("labelled.test_object_masks", "test_the_objects_of_an_image_become_its_mask"),
    "cellpose": ("labelled.test_cellpose", "test_cells_are_where_cellpose_was_told_they_are"),
    "imagej": ("labelled.test_imagej", "test_regions_are_painted_as_imagej_fills_them"),
    "qupath": ("labelled.test_qupath", "test_objects_are_painted_as_labeled_image_server_paints_them"),
    "roboflow_masks": ("labelled.test_mask_layouts", "test_roboflow_names_values_with_blanks_after_commas"),
    "voc": ("labelled.test_mask_layouts", "test_voc_is_read_by_palette_index"),
    "nnunet": ("labelled.test_mask_layouts", "test_nnunet_is_read_by_its_labels"),
    "label_arrays": ("labelled.test_label_arrays", "test_values_get_the_names_that_are_given"),
}
# A scene that no file of the format can hold as it was drawn, or not this kind of entry; each must really differ.
EXCEPTIONS = {
    ("yolo", "hole"): "a line is one outline, whose inside is filled",
    ("coco_edges", "line"): "corners between pixels: an outline of a line 1 px wide, through its pixels, has no area",
}


def outlines(inside: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of the parts, through their outer pixels, (N, 2) x and y each, as most tools make them."""
    found, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.repeat(one.reshape(-1, 2), 4 if len(one) < 3 else 1, axis=0) for one in found]


def parts(kind: str) -> list[tuple[int, np.ndarray]]:
    return [(class_id, drawn(kind) == class_id) for class_id in (1, 2) if (drawn(kind) == class_id).any()]


def write_coco(root: Path, form: str) -> Path:
    """Write run lengths, or outlines as supervision does: with the area of what was drawn, and holes as runs."""
    annotations: list[dict[str, Any]] = []
    for number, kind in enumerate(KINDS):
        write_image(root / f"{kind}.png")
        for class_id, inside in parts(kind):
            packed = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
            runs = {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()}
            is_runs = form == "runs" or (form == "centres" and kind == "hole")
            polygons = [one.ravel().tolist() for one in outlines(inside)]
            one = {"image_id": number, "category_id": class_id, "segmentation": runs if is_runs else polygons}
            annotations.append(one | {"id": len(annotations), "iscrowd": int(is_runs)})
            annotations[-1] |= {"area": int(inside.sum())} if form == "centres" else {}
    content = {
        "images": [{"id": n, "file_name": f"{k}.png", "height": HEIGHT, "width": WIDTH} for n, k in enumerate(KINDS)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "spot"}],
    }
    (root / "labels.json").write_text(json.dumps(content))
    return root


def write_yolo(root: Path) -> Path:
    (root / "labels/train").mkdir(parents=True)
    for kind in KINDS:
        write_image(root / f"images/train/{kind}.png")
        lines = [
            f"{class_id - 1} " + " ".join(f"{value:.6f}" for value in (ring / (WIDTH, HEIGHT)).ravel())
            for class_id, inside in parts(kind)
            for ring in outlines(inside)
        ]
        (root / f"labels/train/{kind}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text("names: [leaf, spot]\ntrain: images/train\n")
    return root


def write_cityscapes(root: Path) -> Path:
    values = np.zeros(256, np.uint8)
    values[[1, 2]] = IDS["car"], IDS["person"]
    for kind in KINDS:
        write_image(root / "leftImg8bit/train/a" / f"{kind}_leftImg8bit.png")
        # What is no class here is not labelled, so that the background is a class, too.
        mask = np.where(drawn(kind) == 0, IDS["road"], values[drawn(kind)]).astype(np.uint8)
        write_mask(root / "gtFine/train/a" / f"{kind}_gtFine_labelIds.png", mask)
    return root


def imported(found: Found, root: Path, target: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    dataset = import_dataset(found, ImportRequest(root), target)
    masks = {pair.name: read_class_ids(pair.mask, dataset.card) for pair in dataset.pairs if pair.mask}
    return dataset.card.classes, masks


def differing(form: str, masks: dict[str, np.ndarray]) -> None:
    assert sorted(masks) == sorted(KINDS)
    found = {kind for kind in KINDS if (masks[kind] != drawn(kind)).any()}
    assert found == {kind for name, kind in EXCEPTIONS if name == form}


@pytest.mark.parametrize("form", ["runs", "centres"])
def test_coco_is_what_was_drawn(form: str, tmp_path: Path) -> None:
    root = write_coco(tmp_path / "in", form)
    differing(f"coco_{form}", imported(auto(root, "coco"), root, tmp_path / "made")[1])


def test_coco_without_areas_is_what_pycocotools_paints(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "in", "edges")
    masks = imported(auto(root, "coco"), root, tmp_path / "made")[1]
    for kind in KINDS:
        ids = np.zeros((HEIGHT, WIDTH), np.uint8)
        for class_id, inside in parts(kind):
            rings = [one.ravel().tolist() for one in outlines(inside)]
            ids[coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, HEIGHT, WIDTH))) > 0] = class_id
        np.testing.assert_array_equal(masks[kind], ids, err_msg=kind)
    assert not masks["line"].any(), EXCEPTIONS["coco_edges", "line"]


def test_yolo_is_what_was_drawn(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "in")
    masks = imported(auto(root, "yolo"), root, tmp_path / "made")[1]
    differing("yolo", masks)
    filled = drawn("hole")
    filled[6:30, 8:36] = 1
    np.testing.assert_array_equal(masks["hole"], filled)


def test_cityscapes_is_what_was_drawn(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path / "in")
    classes, masks = imported(auto(root, "cityscapes"), root, tmp_path / "made")
    assert classes == ("road", "person", "car")
    differing("cityscapes", {kind: np.array([0, 0, 2, 1])[mask].astype(np.uint8) for kind, mask in masks.items()})


@pytest.mark.parametrize("layout", sorted(ELSEWHERE))
def test_other_formats_are_tried_with_the_same_scenes(layout: str) -> None:
    module = importlib.import_module(f"tests.naslora_core.data.importers.{ELSEWHERE[layout][0]}")
    source = inspect.getsource(getattr(module, ELSEWHERE[layout][1]))
    # Each walks over a list of the scenes, or compares with the masks of its tool, which are of one. Numbers of cells
    # can neither overlap nor be of two classes, so that Cellpose's list (drawn.npz) has other scenes instead.
    assert any(words in source for words in ("KINDS", "SCENES", "DRAWINGS", "drawn.npz", "check_masks(", "tool_masks("))


def test_no_format_is_forgotten() -> None:
    published = {name for name in IMPORTERS if IMPORTERS[name].home}
    assert set(IMPORTERS) - published - {"folder"} == {"coco", "yolo", "cityscapes", *ELSEWHERE}
