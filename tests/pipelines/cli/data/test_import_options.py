"""Options of `naslora data import`: odd lines and files, several exports of one project, names and files left out."""

import json
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import read_card
from naslora_core.data.dataset.dataset import Dataset, fingerprint, read_dataset
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.errors import ConfigError, DataError
from tests.pipelines.cli.data.test_import import project, run

__all__ = ["project"]
SIDE = 40


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG" if path.suffix == ".jfif" else None)


def mask(path: Path, seed: int, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[5 : 15 + seed % 7, 5:20] = value
    Image.fromarray(pixels).save(path)


def pairs(root: Path, count: int = 12, first: int = 0, name: str = "{}") -> Path:
    for seed in range(first, first + count):
        picture(root / "images" / f"{name.format(seed)}.png", seed)
        mask(root / "masks" / f"{name.format(seed)}.png", seed)
    return root


def yolo(root: Path, names: list[str], first: int = 0, line: str = "{} 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6") -> Path:
    """Write 12 images: those of even numbers show an object of the first class, the others one of the last."""
    for number in range(12):
        picture(root / f"images/train/{number}.png", first + number)
        label = root / f"labels/train/{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(line.format(0 if number % 2 == 0 else len(names) - 1) + "\n")
    (root / "data.yaml").write_text(json.dumps({"names": names, "train": "images/train"}))
    return root


def ids(dataset: Dataset) -> dict[str, np.ndarray]:
    return {pair.name: read_class_ids(pair.mask, dataset.card) for pair in dataset.pairs if pair.mask}


def stored(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_odd_files_are_left_out_listed_and_counted(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds", 16)
    (source / "images/3.png").write_bytes(b"broken")
    (source / "masks/5.png").write_bytes((source / "masks/5.png").read_bytes()[:40])
    Image.new("L", (9, 9)).save(source / "masks/7.png")
    run("folder", str(source))
    assert len(read_dataset(project / "data/weeds").pairs) == 16, "without the option the gate names them all"
    output = run("folder", str(source), "--replace", "--skip-bad").stdout
    assert [pair.name for pair in read_dataset(project / "data/weeds").pairs] == sorted(
        str(n) for n in range(16) if n not in (3, 5, 7)
    )
    assert "3 odd lines and files were left out (--skip-bad):" in output
    for line in ("images/3.png cannot be read", "masks/5.png cannot be read", "masks/7.png is 9x9 px, its image"):
        assert line in output


def test_the_list_of_what_is_left_out_is_bounded_and_all_odd_is_an_error(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds", 30)
    for number in range(12):
        (source / f"images/{number}.png").write_bytes(b"broken")
    output = run("folder", str(source), "--skip-bad").stdout
    assert "12 odd lines and files" in output
    assert output.count("cannot be read") == 5
    assert "… and 7 more" in output
    for path in source.glob("images/*"):
        path.write_bytes(b"broken")
    assert "all 30 pairs were left out" in str(
        run("folder", str(source), "--name", "b", "--skip-bad", error=DataError).exception
    )
    assert not (project / "data/b").exists()


def test_odd_lines_of_yolo_leave_the_good_ones(project: Path, tmp_path: Path) -> None:
    source = yolo(tmp_path / "orchard", ["apple"])
    good = (source / "labels/train/0.txt").read_text()
    (source / "labels/train/0.txt").write_text(good + "0 0.5 0.5 0.1 0.1\n0 x\n0 0.1 0.1 7 8 9 9\n")
    (source / "labels/train/1.txt").write_text("9 0.1 0.1 0.5 0.1 0.5 0.5\n" + good)
    (source / "labels/train/2.txt").write_bytes(b"\xff\xfe\x00\x01")
    assert "line 2 is a box" in str(run("yolo", str(source), error=DataError).exception)
    output = run("yolo", str(source), "--skip-bad").stdout
    assert "5 odd lines and files" in output
    dataset = read_dataset(project / "data/orchard")
    assert "2" not in {pair.name for pair in dataset.pairs}, "a file that is no text says nothing of its image"
    found = ids(dataset)
    assert found["0"].sum() == found["1"].sum() == found["4"].sum() > 0


def test_odd_annotations_of_coco_leave_the_good_ones(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "orchard"
    square = [5, 5, 20, 5, 20, 20, 5, 20]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": [square], "area": 225, "iscrowd": 0}
        for n in range(12)
    ]
    odd = [
        {"id": 50, "image_id": 99, "category_id": 1, "segmentation": [square]},
        {"id": 51, "image_id": 1, "category_id": 8, "segmentation": [square]},
        {"id": 52, "image_id": 1, "segmentation": [square]},
        {"id": 53, "image_id": 1, "category_id": 1, "segmentation": [["a"] * 8]},
        {"id": 54, "image_id": 1, "category_id": 1, "segmentation": {"size": [1, 1], "counts": [1]}},
        "no object at all",
    ]
    for number in range(12):
        picture(source / f"{number}.png", number)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": SIDE, "width": SIDE} for n in range(12)],
        "annotations": annotations + odd,
        "categories": [{"id": 1, "name": "apple"}],
    }
    (source / "labels.json").write_text(json.dumps(content))
    run("coco", str(source), error=DataError)
    assert "6 odd lines and files" in run("coco", str(source), "--skip-bad").stdout
    found = ids(read_dataset(project / "data/orchard"))
    assert len(found) == 12
    assert {int(one.sum()) for one in found.values()} == {int(found["0"].sum())}
    assert found["1"].sum() > 200


def test_odd_lines_of_a_list_of_pairs_leave_the_good_ones(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds")
    lines = [f"images/{n}.png,masks/{n}.png,train" for n in range(12)]
    odd = ["images/77.png,masks/77.png,train", "images/1.gif,masks/1.png,train", "images/1.png,masks/1.png,trian"]
    (source / "pairs.csv").write_text("\n".join(["image,mask,split", *lines, *odd]))
    assert "line 14" in str(run("folder", str(source), "--pairs", str(source / "pairs.csv"), error=DataError).exception)
    output = run("folder", str(source), "--pairs", str(source / "pairs.csv"), "--skip-bad").stdout
    assert "3 odd lines and files" in output
    assert len(read_dataset(project / "data/weeds").pairs) == 12


def test_a_second_export_is_added_and_what_was_there_stays(project: Path, tmp_path: Path) -> None:
    run("yolo", str(yolo(tmp_path / "task_1", ["apple", "leaf"])), "--name", "orchard")
    target = project / "data/orchard"
    (target / "notes.md").write_text("ours")
    before, files = read_dataset(target), stored(target)
    second = yolo(tmp_path / "task_2", ["leaf", "spot", "apple"], first=50)
    assert "exists already" in str(run("yolo", str(second), "--name", "orchard", error=DataError).exception)
    output = run("yolo", str(second), "--name", "orchard", "--add").stdout
    assert "12 names are taken, such as 0: 'task_2_' goes before every new one" in output
    assert "new classes: spot" in output
    dataset = read_dataset(target)
    assert dataset.card.classes == ("apple", "leaf", "spot")
    assert len(dataset.pairs) == 24
    assert {p.name: (p.split, p.group) for p in before.pairs}.items() <= {
        p.name: (p.split, p.group) for p in dataset.pairs
    }.items()
    now = stored(target)
    assert {name: now[name] for name in files if name not in ("dataset.yaml", "splits.csv")} == {
        name: content for name, content in files.items() if name not in ("dataset.yaml", "splits.csv")
    }
    found = ids(dataset)
    for number in range(12):
        first, added = found[str(number)], found[f"task_2_{number}"]
        assert set(np.unique(first)) == {0, 1 if number % 2 == 0 else 2}, "apple, leaf"
        assert set(np.unique(added)) == {0, 2 if number % 2 == 0 else 1}, "leaf, apple by their names"
        np.testing.assert_array_equal(first > 0, added > 0)


def test_a_third_export_gets_a_prefix_of_its_own_and_the_same_files_are_left_out(project: Path, tmp_path: Path) -> None:
    source = yolo(tmp_path / "task", ["apple"])
    run("yolo", str(source), "--name", "orchard")
    assert "already; there is nothing to add" in str(
        run("yolo", str(source), "--name", "orchard", "--add", error=DataError).exception
    )
    for number, first in ((1, 100), (2, 200)):
        output = run("yolo", str(yolo(tmp_path / "task", ["apple"], first)), "--name", "orchard", "--add").stdout
        assert ("'task_'" if number == 1 else "'task_2_'") in output
    assert len(read_dataset(project / "data/orchard").pairs) == 36
    picture(tmp_path / "task/images/train/99.png", 999)
    output = run("yolo", str(tmp_path / "task"), "--name", "orchard", "--add").stdout
    assert "12 images are in the domain already, the same files: left out" in output
    assert len(read_dataset(project / "data/orchard").pairs) == 37


def test_a_copy_follows_the_split_of_what_it_is_a_copy_of(project: Path, tmp_path: Path) -> None:
    run("folder", str(pairs(tmp_path / "a", 14)), "--name", "weeds")
    before = read_dataset(project / "data/weeds")
    source = pairs(tmp_path / "b", 14, name="copy_{}")
    for path in source.glob("images/*"):
        Image.open(path).save(path, compress_level=1)
    run("folder", str(source), "--name", "weeds", "--add")
    after = {pair.name: pair.split for pair in read_dataset(project / "data/weeds").pairs}
    assert len(after) == 28
    for pair in before.pairs:
        assert after[pair.name] == after[f"copy_{pair.name}"] == pair.split


@pytest.mark.parametrize(
    ("first", "options", "second", "message"),
    [
        ("weed", (), "crop", "If it is the same object, say so: --class weed"),
        ("weed", ("--seed", "3"), "weed", "--add keeps the split of field; leave out --seed"),
        ("weed", ("--replace",), "weed", "give one of them"),
    ],
)
def test_what_cannot_be_added_says_why_and_changes_nothing(
    project: Path, tmp_path: Path, first: str, options: tuple[str, ...], second: str, message: str
) -> None:
    run("folder", str(pairs(tmp_path / "a")), "--name", "field", "--class", first)
    before = stored(project / "data/field")
    result = run(
        "folder", str(pairs(tmp_path / "b", first=40)), "--name", "field", "--add", "--class", second, *options,
        error=ConfigError if options else DataError,
    )  # fmt: skip
    assert message in str(result.exception)
    assert stored(project / "data/field") == before


def test_a_domain_that_is_not_there_cannot_be_added_to(project: Path, tmp_path: Path) -> None:
    result = run("folder", str(pairs(tmp_path / "a")), "--name", "field", "--add", error=DataError)
    assert "is no dataset to add to; import it without --add first" in str(result.exception)
    assert not (project / "data").exists()


def test_an_add_that_fails_half_way_leaves_the_domain_as_it_was(project: Path, tmp_path: Path) -> None:
    run("yolo", str(yolo(tmp_path / "a", ["apple"])), "--name", "orchard")
    before = fingerprint(read_dataset(project / "data/orchard"))
    second = yolo(tmp_path / "b", ["apple"], first=60)
    (second / "images/train/11.png").write_bytes(b"broken")
    run("yolo", str(second), "--name", "orchard", "--add", error=DataError)
    assert fingerprint(read_dataset(project / "data/orchard")) == before
    # The picture of the reading stays, which is in no data version.
    assert sorted(path.name for path in (project / "data").iterdir()) == [".readings", "orchard"]


def test_a_domain_that_is_there_is_refused_before_anything_is_read(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "a")
    run("folder", str(source), "--name", "field")
    shutil.rmtree(project / "data/.readings")
    refused = run("folder", str(source), "--name", "field", error=DataError)
    assert "exists already; choose another --name, --replace it, or --add to it" in str(refused.exception)
    assert "Masks:" not in refused.output
    assert "Nothing was imported" in run("folder", str(source), "--name", "field", "--dry-run").output
    assert not (project / "data/.readings").exists()


def test_a_name_is_the_same_in_both_unicode_forms(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "gärten"
    composed, taken_apart = (unicodedata.normalize(form, "blüte_{}") for form in ("NFC", "NFD"))
    assert composed != taken_apart
    for seed in range(12):
        picture(source / "images" / f"{taken_apart.format(seed)}.png", seed)
        mask(source / "masks" / f"{composed.format(seed)}.png", seed)
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        for path in sorted(source.rglob("*.png")):
            archive.write(path, path.relative_to(source))
    run("folder", str(tmp_path / "mac.zip"), "--name", "mac")
    dataset = read_dataset(project / "data/mac")
    assert [pair.name for pair in dataset.pairs] == sorted(composed.format(seed) for seed in range(12))
    assert all(pair.image and pair.mask for pair in dataset.pairs)
    (source / "pairs.csv").write_text(
        "image,mask\n"
        + "\n".join(f"images/{composed.format(n)}.png,masks/{taken_apart.format(n)}.png" for n in range(12)),
        encoding="utf-8",
    )
    run("folder", str(source), "--pairs", str(source / "pairs.csv"), "--name", "listed")
    assert [pair.name for pair in read_dataset(project / "data/listed").pairs] == [p.name for p in dataset.pairs]
    splits = (project / "data/listed/splits.csv").read_text()
    (project / "data/listed/splits.csv").write_text(unicodedata.normalize("NFD", splits))
    assert {p.name: p.split for p in read_dataset(project / "data/listed").pairs} == {
        line.split(",")[0]: line.split(",")[1] for line in splits.splitlines()[1:]
    }


@pytest.mark.parametrize(("written", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_coco_and_yolo_find_files_by_names_of_another_form(
    project: Path, tmp_path: Path, written: str, on_disk: str
) -> None:
    name = unicodedata.normalize(on_disk, "blüte_{}")
    in_file = unicodedata.normalize(written, "blüte_{}")
    source = tmp_path / "coco"
    for number in range(12):
        picture(source / unicodedata.normalize(on_disk, "fotos_ä") / f"{name.format(number)}.png", number)
    folder = unicodedata.normalize(written, "fotos_ä")
    content = {
        "images": [
            {"id": n, "file_name": f"{folder}/{in_file.format(n)}.png", "height": SIDE, "width": SIDE}
            for n in range(12)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": [[5, 5, 20, 5, 20, 20]]} for n in range(12)
        ],
        "categories": [{"id": 1, "name": "flower"}],
    }
    (source / "labels.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    run("coco", str(source), "--name", "coco")
    assert all(pair.image and pair.mask for pair in read_dataset(project / "data/coco").pairs)
    labels = yolo(tmp_path / "yolo", ["apple"])
    for number in range(12):
        (labels / f"images/train/{number}.png").rename(labels / f"images/train/{name.format(number)}.png")
        (labels / f"labels/train/{number}.txt").rename(labels / f"labels/train/{in_file.format(number)}.txt")
    assert "no label file" not in run("yolo", str(labels), "--name", "yolo").stdout
    assert all(found.any() for found in ids(read_dataset(project / "data/yolo")).values())


def test_images_without_a_mask_may_show_nothing_if_the_user_says_so(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds", 14)
    for number in (1, 2):
        (source / f"masks/{number}.png").unlink()
    assert "have no partner" in run("folder", str(source)).stdout
    assert "have no partner" not in run("folder", str(source), "--replace", "--no-mask-is-empty").stdout
    found = ids(read_dataset(project / "data/weeds"))
    assert [name for name, one in found.items() if not one.any()] == ["1", "2"]
    assert found["1"].shape == (SIDE, SIDE)
    run("folder", str(source), "--name", "both", "--no-mask-is-empty", "--pairs-only")
    assert len(read_dataset(project / "data/both").pairs) == 14


def test_what_is_no_image_or_belongs_to_no_pair_is_counted_by_suffix(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds")
    for name in ("a.heic", "b.HEIC", "c.txt", "Thumbs", ".hidden"):
        (source / "images" / name).touch()
    assert (
        "4 files beside the others left out: no images that are read here (2 .heic, 1 .txt, 1 without suffix)"
        in run("folder", str(source)).stdout
    )
    orchard = yolo(tmp_path / "orchard", ["apple"])
    assert "left out" not in run("yolo", str(orchard)).stdout
    (orchard / "images/train/x.gif").touch()
    assert (
        "1 file beside the others left out: no images that are read here (1 .gif)"
        in run("yolo", str(orchard), "--replace").stdout
    )


def test_a_jfif_is_a_jpeg(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds")
    for number in range(12):
        (source / f"images/{number}.png").unlink()
        picture(source / f"images/{number}.jfif", number)
    run("folder", str(source))
    assert {pair.image.suffix for pair in read_dataset(project / "data/weeds").pairs if pair.image} == {".jfif"}


def link_inside(root: Path) -> None:
    (root / "images/loop").symlink_to(root)


def link_to_itself(root: Path) -> None:
    (root / "loop").symlink_to(root / "loop")


def link_to_what_is_there(root: Path) -> None:
    (root / "again").symlink_to(root / "images")


@pytest.mark.parametrize("link", [link_inside, link_to_itself, link_to_what_is_there])
def test_links_to_folders_are_followed_once(project: Path, tmp_path: Path, link: Callable[[Path], None]) -> None:
    source = tmp_path / "coco"
    for number in range(12):
        picture(tmp_path / f"elsewhere/{number}.png", number)
    source.mkdir()
    (source / "images").mkdir()
    (source / "images/linked").symlink_to(tmp_path / "elsewhere")
    link(source)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": SIDE, "width": SIDE} for n in range(12)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": [[5, 5, 20, 5, 20, 20]]} for n in range(12)
        ],
        "categories": [{"id": 1, "name": "flower"}],
    }
    (source / "labels.json").write_text(json.dumps(content))
    run("auto", str(source), "--name", "linked")
    dataset = read_dataset(project / "data/linked")
    assert len(dataset.pairs) == 12
    assert all(pair.image and not pair.image.is_symlink() for pair in dataset.pairs)


def test_a_layout_that_a_link_shows_twice_is_there_once(project: Path, tmp_path: Path) -> None:
    pairs(tmp_path / "download/weeds")
    (tmp_path / "download/again").symlink_to(tmp_path / "download/weeds")
    run("folder", str(tmp_path / "download"), "--name", "weeds")
    assert len(read_dataset(project / "data/weeds").pairs) == 12
    assert read_card(project / "data/weeds").classes == ("object",)


def test_a_split_that_could_not_be_drawn_says_why(project: Path, tmp_path: Path) -> None:
    source = pairs(tmp_path / "weeds")
    lines = [f"images/{n}.png,masks/{n}.png,patient" for n in range(12)]
    (source / "pairs.csv").write_text("\n".join(["image,mask,group", *lines]))
    output = run("folder", str(source), "--pairs", str(source / "pairs.csv")).stdout
    assert "the 12 pairs make 1 group, three splits need three: 12 of 12 are one group (0, 1, 10, …)" in output
    lines = [f"images/{n}.png,masks/{n}.png,{'patient' if n < 8 else n}" for n in range(12)]
    (source / "pairs.csv").write_text("\n".join(["image,mask,group", *lines]))
    output = run("folder", str(source), "--pairs", str(source / "pairs.csv"), "--name", "b").stdout
    assert "the splits have not the shares asked for: 8 of 12 are one group (0, 1, 2, …)" in output


@pytest.mark.parametrize("dry", [True, False])
def test_a_mask_that_cannot_be_painted_does_not_stop_the_sheet(project: Path, dry: bool) -> None:
    root = project / "pano"
    for number in range(6):
        picture(root / f"images/{number}.png", number)
        segments = np.zeros((SIDE, SIDE, 3), np.uint8)
        segments[5:20, 5:20, 0] = 1 if number else 9
        (root / "panoptic").mkdir(exist_ok=True)
        Image.fromarray(segments).save(root / f"panoptic/{number}.png")
    listed = [{"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE} for number in range(6)]
    drawn = [{"image_id": n, "file_name": f"{n}.png", "segments_info": [{"id": 1, "category_id": 1}]} for n in range(6)]
    content = {"images": listed, "annotations": drawn, "categories": [{"id": 1, "name": "leaf"}]}
    (root / "panoptic.json").write_text(json.dumps(content))
    output = run("coco_panoptic", str(root), "--void", "background", "--skip-bad", *["--dry-run"] * dry).output
    assert "1 odd lines and files were left out" in output
    assert "0.png holds 1 segments that the JSON file does not list: 9" in output
