"""`naslora data import` as a user types it."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from naslora_core.config import load_params
from naslora_core.data.dataset.card import read_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.importers import IMPORTERS
from naslora_core.errors import ConfigError, DataError, NasLoraError
from pipelines.cli.data.app import data_app

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", root)
    (root / "dvc.yaml").touch()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def weeds(tmp_path: Path) -> Path:
    """Fourteen images whose masks have the values 0, 1 and 2."""
    root = tmp_path / "Weeds 2024"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(14):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.jpg")
        mask = np.zeros((40, 40), np.uint8)
        mask[5:15, 5:15], mask[20:30, 20:35] = 1, 2
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


def camo(root: Path) -> Path:
    for part, names in (("Images/Train", "abcdefgh"), ("Images/Test", "ij"), ("GT", "abcdefghij")):
        (root / part).mkdir(parents=True)
        for name in names:
            pixels = np.random.default_rng(ord(name)).integers(0, 255, (40, 40, 3), dtype=np.uint8)
            suffix = "png" if part == "GT" else "jpg"
            Image.fromarray(pixels if suffix == "jpg" else np.eye(40, dtype=np.uint8) * 255).save(
                root / part / f"{name}.{suffix}"
            )
    return root


def pack(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as content:
        for path in sorted(folder.rglob("*")):
            content.write(path, Path("download") / path.relative_to(folder))
    return archive


def run(*arguments: str, error: type[NasLoraError] | None = None) -> Result:
    result = CliRunner().invoke(data_app, ["import", *arguments])
    if error is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, error), (result.output, result.exception)
    return result


def test_several_classes_are_named_and_the_domain_enabled(project: Path, weeds: Path) -> None:
    output = run("folder", str(weeds), "--class", "crop=1", "--class", "weed=2").stdout
    assert "14 pairs (10 train, 2 validation, 2 test)" in output
    assert "Next: naslora data check weeds_2024, then naslora run --domain weeds_2024" in output
    assert load_params(project / "params.yaml").domains[-1] == "weeds_2024"
    assert read_card(project / "data" / "weeds_2024").mask_values == {"crop": (1,), "weed": (2,)}


def test_auto_says_what_it_found_and_what_was_decided(project: Path, tmp_path: Path) -> None:
    output = run("auto", str(camo(tmp_path / "download" / "CAMO")), "--validation", "0.25").stdout
    assert "layout camo (CAMO: camouflaged animals and people)" in output
    assert "10 pairs (6 train, 2 validation, 2 test)" in output
    assert "Note: 2 for validation were drawn from the training images" in output
    assert (project / "data" / "camo" / "dataset.yaml").is_file()


def test_an_archive_is_as_good_as_a_folder(project: Path, weeds: Path, tmp_path: Path) -> None:
    archive = pack(weeds, tmp_path / "My Weeds.ZIP")
    run("auto", str(archive), "--class", "crop=1", "--class", "weed=2")
    run("folder", str(weeds), "--class", "crop=1", "--class", "weed=2", "--name", "unpacked")
    packed, unpacked = (read_dataset(project / "data" / name) for name in ("my_weeds", "unpacked"))
    assert [(p.name, p.split) for p in packed.pairs] == [(p.name, p.split) for p in unpacked.pairs]
    assert (project / "data/my_weeds/images/3.jpg").read_bytes() == (weeds / "images/3.jpg").read_bytes()


def test_a_hostile_archive_leaves_no_domain(project: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as content:
        content.writestr("images/../../../outside.jpg", b"x")
    assert "would lie outside of the folder" in str(run("auto", str(tmp_path / "a.zip"), error=DataError).exception)
    assert not (project / "data").exists()


def test_pairs_can_come_from_a_list_alone(project: Path, weeds: Path) -> None:
    lines = [f"images/{number}.jpg,masks/{number}.png,plant{number % 3}" for number in range(9)]
    (weeds / "pairs.csv").write_text("image,mask,group\n" + "\n".join(lines))
    run("folder", "--pairs", str(weeds / "pairs.csv"), "--name", "listed", "--threshold", "1")
    dataset = read_dataset(project / "data" / "listed")
    assert sorted(len(dataset.of_split(split)) for split in ("train", "validation", "test")) == [3, 3, 3]
    assert {pair.group for pair in dataset.of_split("test")} < {"plant0", "plant1", "plant2"}


def test_two_folders_with_any_name_and_a_named_domain(project: Path, weeds: Path) -> None:
    folders = ("--images", str(weeds / "images"), "--masks", str(weeds / "masks"))
    run("folder", "weeds", *folders, "--no-enable", "--threshold", "2", "--class", "weed")
    card = read_card(project / "data" / "weeds")
    assert (card.classes, card.mask_threshold) == (("weed",), 2)
    assert (project / "params.yaml").read_bytes() == (REPOSITORY / "params.yaml").read_bytes()


def test_files_without_a_partner_are_named(project: Path, weeds: Path) -> None:
    (weeds / "masks" / "3.png").unlink()
    assert (
        "no partner (3), which naslora data check will reject" in run("folder", str(weeds), "--threshold", "1").stdout
    )
    assert "13 pairs" in run("folder", str(weeds), "--threshold", "1", "--replace", "--pairs-only").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("folder",), "name the folder to bring in"),
        (("folder", "x", "--images", "a"), "--images and --masks belong together"),
        (("folder", "--images", "a", "--masks", "b", "--pairs", "c"), "--pairs names the files itself"),
        (("kvasir", "x", "--images", "a", "--masks", "b"), "--images is for the layout folder, not for kvasir"),
        (("kvasir", "x", "--tile", "512"), "--tile is for the layout roads, not for kvasir"),
        (("kvasir", "x", "--name", "Bad Name"), "'Bad Name' cannot name a domain"),
        (("folder", "x", "--class", "a=red"), "give numbers or colours"),
        (("lungs", "x"), "unknown dataset layout 'lungs'; known: camo, "),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    project: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in str(run(*arguments, error=ConfigError).exception)
    assert sorted(path.name for path in project.iterdir()) == ["dvc.yaml", "params.yaml"]


def test_the_help_lists_every_layout_in_a_line(project: Path) -> None:
    lines = [line.split() for line in run("--help").stdout.splitlines()]
    for name in IMPORTERS:
        assert [name, *IMPORTERS[name].summary.split()] in lines


def test_every_layout_is_documented() -> None:
    text = (REPOSITORY / "docs" / "layouts.md").read_text(encoding="utf-8")
    for name in IMPORTERS:
        assert f"naslora data import {name} " in text
        assert IMPORTERS[name].home in text


def test_the_reading_of_the_masks_is_shown_and_drawn(project: Path, weeds: Path) -> None:
    output = run("folder", str(weeds), "--class", "crop=1", "--class", "weed=2").stdout
    assert "Masks: as --class says (14 files; mask_reading: values)" in output
    assert [line.split() for line in output.splitlines() if line.startswith("  ") and "%" in line] == [
        ["0", "background", "18,900", "84.4", "%", "14"],
        ["1", "crop", "1,400", "6.25", "%", "14"],
        ["2", "weed", "2,100", "9.38", "%", "14"],
    ]
    sheet = project / "data" / ".readings" / "weeds_2024.jpg"
    assert f"Look at {sheet}" in output
    assert Image.open(sheet).width > 1000
    assert read_card(project / "data" / "weeds_2024").mask_reading == "values"


def test_a_dry_run_shows_the_reading_and_writes_nothing_into_the_project(project: Path, weeds: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    output = run("auto", str(weeds), "--reading", "instances", "--ignore", "2", "--dry-run").stdout
    assert "mask_reading: instances" in output
    assert "(not labelled)" in output
    assert "Nothing was imported" in output
    sheet = Path(output.split("Look at ")[1].split(": are")[0])
    assert project not in sheet.parents
    assert Image.open(sheet).width > 1000
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    shutil.rmtree(sheet.parent)


def test_painted_objects_are_shown_as_a_table_by_a_dry_run_and_an_import(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    for folder in ("images/train", "labels/train"):
        (root / folder).mkdir(parents=True)
    (root / "data.yaml").write_text("names: [leaf, stem]\ntrain: images/train\n")
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/train/{number}.jpg")
        # Corners are pixels: 5 to 14 are ten of them. Every third image has an object beyond its last pixel.
        lines = "0 0.125 0.125 0.35 0.125 0.35 0.35 0.125 0.35\n" + "1 1 1 1 1 1 1\n" * (number % 3 == 0)
        (root / f"labels/train/{number}.txt").write_text(lines)
    tables = []
    for options in (("--dry-run",), ()):
        output = run("yolo", str(root), "--name", "leaves", *options).stdout
        assert "Masks: painted from 16 objects" in output
        assert "Note: 4 of 16 objects have no pixel: 0 line 2" in output
        tables.append([line.split() for line in output.splitlines() if line.startswith("  ") and "%" in line])
        assert (project / "data").is_dir() == (options == ())
    assert (
        tables[0]
        == tables[1]
        == [
            ["0", "background", "18,000", "93.8", "%", "12"],
            ["1", "leaf", "1,200", "6.25", "%", "12"],
            ["2", "stem", "0", "0", "%", "0"],
        ]
    )


def test_a_published_layout_shows_its_reading_too(project: Path, tmp_path: Path) -> None:
    output = run("camo", str(camo(tmp_path / "CAMO")), "--dry-run").stdout
    assert "Masks: as published (10 files; mask_reading: grey)" in output
    assert "255    camouflaged" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--reading", "outlines"), "--reading outlines is not known; use grey, values"),
        (("--ignore", "red"), "--ignore red: give numbers or colours"),
        (("--reading", "values"), "name each: --class NAME=1"),
    ],
)
def test_a_reading_that_does_not_fit_is_refused(
    project: Path, weeds: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in str(run("folder", str(weeds), *options, error=NasLoraError).exception)
    assert not (project / "data").exists()
