"""annotations.json, loaded and scored by pycocotools."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from naslora_core.errors import ConfigError, DataError
from naslora_core.progress import silent
from pipelines.predict.coco import write_coco
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import find_images
from pipelines.predict.outputs import OutputChoice
from pipelines.predict.record import RunSettings, begin, read_rows, write_rows

DOCS = Path(__file__).parents[3] / "docs" / "predict.md"
CLASSES = ("rust", "mould")
SETTINGS = RunSettings(
    model_sha256="a" * 64, threshold=0.5, tile="off", overlap=0.25, precision="float32", mask_palette="classes",
)  # fmt: skip


def first_channels(images):
    """A model that finds rust where an image is red and mould where it is green."""
    return [image.transpose(2, 0, 1)[:2].astype(np.float32) / 255 for image in images]


def save(path, *spots):
    """Write an image of spots: channel, rows, columns and brightness."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    for channel, rows, columns, value in spots:
        pixels[slice(*rows), slice(*columns), channel] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    """Three images, two of one name, one empty, and a class of two parts."""
    save(tmp_path / "photos" / "june" / "a.png", (0, (2, 12), (3, 23), 250), (0, (20, 30), (3, 23), 200))
    save(tmp_path / "photos" / "july" / "a.PNG", (0, (5, 20), (5, 20), 230), (1, (25, 35), (30, 50), 210))
    save(tmp_path / "photos" / "empty.png")
    return tmp_path / "photos"


def run(photos, out, given=None, resume=False, has_coco=True, palette=True):
    """Predict a folder as the command does, and return the path of the COCO file."""
    choice = OutputChoice(out, 0.5, CLASSES, has_coco=has_coco, has_palette=palette)
    images = find_images([str(given or photos)], True, out)
    rows, left = begin(images, choice, SETTINGS, resume=resume, force=False)
    predict_files(first_channels, left, TileChoice(lambda _: None, 0.25), choice, 4, silent, rows)
    write_rows(out, rows)
    return write_coco(out, rows, CLASSES)


def ground_truth(path, wanted):
    """Write a file of masks by image and class, with ids of its own and in another order; and load it."""
    names = sorted({"empty.png", *(name for name, _ in wanted)}, reverse=True)
    images = [{"id": 100 + n, "file_name": name, "width": 60, "height": 40} for n, name in enumerate(names)]
    categories = [{"id": 7, "name": "mould"}, {"id": 9, "name": "rust"}]
    annotations = []
    for (name, class_name), mask in wanted.items():
        encoded = run_lengths.encode(np.asfortranarray(mask, dtype=np.uint8))
        segmentation = {"size": [40, 60], "counts": encoded["counts"].decode()}
        annotations.append({
            "id": len(annotations) + 1, "image_id": 100 + names.index(name), "iscrowd": 0, "area": int(mask.sum()),
            "category_id": 9 if class_name == "rust" else 7, "segmentation": segmentation,
        })  # fmt: skip
    content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return path


def masks_of(file):
    """Return the masks of a COCO file by image and class, as pycocotools decodes them."""
    coco = COCO(file)
    return {
        (coco.imgs[a["image_id"]]["file_name"], coco.cats[a["category_id"]]["name"]): coco.annToMask(a)
        for a in coco.anns.values()
    }


def test_images_are_named_within_the_folder_that_was_given(photos, tmp_path):
    for given in (photos, photos / "**" / "*.*"):
        out = tmp_path / f"out{len(str(given))}"
        text = run(photos, out, given).read_text()
        assert {image["file_name"] for image in json.loads(text)["images"]} == {"empty.png", "june/a.png", "july/a.PNG"}
        assert str(tmp_path) not in text
    (image,) = json.loads(run(photos, tmp_path / "one", photos / "june" / "a.png").read_text())["images"]
    assert image["file_name"] == "a.png"


@pytest.mark.parametrize("palette", [True, False])
def test_every_mask_comes_back_with_its_area_and_the_mean_probability_of_its_pixels(photos, tmp_path, palette):
    file = run(photos, tmp_path / "out", palette=palette)
    coco = COCO(file)
    found = {
        (coco.imgs[a["image_id"]]["file_name"], coco.cats[a["category_id"]]["name"]): a for a in coco.anns.values()
    }
    assert {key: a["area"] for key, a in found.items()} == {
        ("june/a.png", "rust"): 400, ("july/a.PNG", "rust"): 225, ("july/a.PNG", "mould"): 200,
    }  # fmt: skip
    assert found["june/a.png", "rust"]["score"] == pytest.approx((250 + 200) / 2 / 255, abs=1e-6)
    assert found["july/a.PNG", "mould"]["score"] == pytest.approx(210 / 255, abs=1e-6)
    drawn = np.zeros((40, 60), np.uint8)
    drawn[2:12, 3:23] = drawn[20:30, 3:23] = 1
    np.testing.assert_array_equal(masks_of(file)["june/a.png", "rust"], drawn)


def evaluate(folder, monkeypatch):
    """Run the lines that the documentation gives, in a folder with truth.json and masks/annotations.json."""
    (lines,) = (block.split("```")[0] for block in DOCS.read_text().split("```python\n") if "COCOeval" in block)
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(lines, "docs/predict.md", "exec"), names)
    return names["evaluation"]


def test_the_documented_lines_score_a_run_against_a_file_with_other_ids(photos, tmp_path, monkeypatch):
    wanted = masks_of(run(photos, tmp_path / "masks"))
    ground_truth(tmp_path / "truth.json", wanted)
    assert evaluate(tmp_path, monkeypatch).stats[0] == pytest.approx(1)
    # Half of one mask of mould is missed: that class has an IoU of 0.5, which is right at one of ten thresholds.
    half = wanted["july/a.PNG", "mould"].copy()
    larger = np.zeros_like(half)
    larger[25:35, 10:50] = 1
    assert half.sum() / larger.sum() == 0.5
    ground_truth(tmp_path / "truth.json", wanted | {("july/a.PNG", "mould"): larger})
    assert evaluate(tmp_path, monkeypatch).stats[0] == pytest.approx((1 + 0.1) / 2)


def test_the_file_loads_as_ground_truth_and_takes_its_own_annotations_as_results(photos, tmp_path):
    file = run(photos, tmp_path / "out")
    truth = COCO(file)
    results = truth.loadRes(json.loads(file.read_text())["annotations"])
    evaluation = COCOeval(truth, results, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_images_whose_scores_a_killed_run_lost_are_predicted_again_for_coco_only(photos, tmp_path):
    out = tmp_path / "out"
    first = json.loads(run(photos, out).read_text())
    (out / "predictions.csv").unlink()
    before = (out / "june" / "a_mask.png").stat().st_mtime_ns
    choice = OutputChoice(out, 0.5, CLASSES)
    kept, left = begin(find_images([str(photos)], True, out), choice, SETTINGS, resume=True, force=False)
    assert (len(kept), left) == (3, [])
    write_rows(out, kept)
    assert not read_rows(out)["june/a"].has_scores
    assert read_rows(out)["empty"].has_scores
    with pytest.raises(
        ConfigError, match=r"no scores, which COCO needs, of 2 images that a killed run .*june/a\.png\."
    ):
        run(photos, out, photos / "july", resume=True)
    again = json.loads(run(photos, out, resume=True).read_text())
    assert (out / "june" / "a_mask.png").stat().st_mtime_ns > before
    assert sorted(a["score"] for a in again["annotations"]) == sorted(a["score"] for a in first["annotations"])


def test_a_resumed_run_takes_no_mask_of_another_image_of_the_same_name(photos, tmp_path):
    save(photos / "july" / "a.png", (1, (25, 35), (30, 50), 210))
    (photos / "july" / "a.PNG").unlink()
    run(photos, tmp_path / "out", photos / "june")
    with pytest.raises(ConfigError, match=r"june/a\.png and .*july/a\.png would write the same mask") as raised:
        run(photos, tmp_path / "out", photos / "july", resume=True)
    assert "--recursive" in str(raised.value)
    run(photos, tmp_path / "out", photos / "june", resume=True)


def test_what_someone_changed_in_the_outputs_is_named(photos, tmp_path):
    out = tmp_path / "out"
    run(photos, out)
    mask = Image.open(out / "june" / "a_mask.png")
    mask.putpixel((0, 39), 2)
    mask.save(out / "june" / "a_mask.png")
    with pytest.raises(DataError, match=r"june/a_mask\.png holds class 2, which was not predicted there"):
        run(photos, out, resume=True)
    table = (out / "predictions.csv").read_text()
    for changed in (table.replace(":0.", ":lots 0."), table.replace("40", "forty"), table.replace("status", "state")):
        (out / "predictions.csv").write_text(changed)
        with pytest.raises(DataError, match=r"predictions\.csv is not as a run writes it: .*; delete it"):
            run(photos, out, resume=True)
    (out / "predictions.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"predictions\.csv is not as a run writes it"):
        run(photos, out, resume=True)
    (out / "predictions.json").write_text("[[")
    with pytest.raises(DataError, match=r"predictions\.json cannot be read"):
        run(photos, out, resume=True)
