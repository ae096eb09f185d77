"""`naslora data`: sample, list, show and check."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from naslora_core.data.dataset.card import write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.errors import ConfigError, DataError, NasLoraError
from pipelines.cli.data.app import data_app

Data = Callable[..., Result]
COMMANDS = [
    "sample", "import", "list", "show", "check", "quarantine", "restore", "split", "diff", "log", "pack", "unpack",
]  # fmt: skip


def test_list_tells_every_domain_and_which_ones_run(drawn_project: Path, data: Data) -> None:
    shutil.copytree(drawn_project / "data" / "discs", drawn_project / "data" / "more")
    (drawn_project / "data" / "squares" / "splits.csv").write_text("name,split\nimage_03,tset\n")
    lines = data("list").stdout.splitlines()
    assert lines[0].startswith("* discs    16 pairs (")
    assert lines[1].startswith("  more     16 pairs (")
    assert lines[2].startswith("* squares  not usable: ")
    assert "'tset' is not a split; did you mean 'test'" in lines[2]


def test_show_tells_numbers_and_draws_a_sheet(drawn_project: Path, data: Data) -> None:
    output = data("show", "discs", "--count", "4").stdout
    assert "16 (" in output
    assert "1 different: smallest 48x48, median 48x48, largest 48x48" in output
    assert "masks      a mask pixel of 128 or more is discs" in output
    with Image.open(drawn_project / "artifacts" / "data" / "discs_contact_sheet.png") as sheet:
        assert sheet.width > 360
    numbers = json.loads(data("show", "discs", "--json", "--output", "sheet.png").stdout)
    assert sum(numbers["pairs"].values()) == 16
    assert 0 < numbers["classes"]["discs"]["train"]["mean_share"] < 1
    assert (drawn_project / "sheet.png").is_file()


def test_show_says_how_much_nobody_labelled(drawn_project: Path, data: Data) -> None:
    assert "ignored" not in data("show", "discs").stdout
    root = drawn_project / "data" / "discs"
    card = read_dataset(root).card
    write_card(root, card.model_copy(update={"mask_ignore": (7,)}))
    for path in (root / "masks").iterdir():
        with Image.open(path) as mask:
            mask.paste(7, (0, 0, 12, 48))
            mask.save(path)
    assert "ignored    25.00% of an image are not labelled, and left out everywhere" in data("show", "discs").stdout


def test_check_names_the_files_of_every_domain_that_fails(drawn_project: Path, data: Data) -> None:
    (drawn_project / "data" / "discs" / "masks" / "image_03.png").unlink()
    (drawn_project / "data" / "squares" / "splits.csv").write_text("name,split\nimage_03,tset\n")
    message = str(data("check", error=DataError).exception)
    assert "images/image_03.png: has no mask" in message
    assert "'tset' is not a split; did you mean 'test'" in message
    result = CliRunner().invoke(data_app, ["check", "--json"])
    verdicts = json.loads(result.stdout)
    assert (result.exit_code, verdicts["discs"]["passed"], verdicts["squares"]["passed"]) == (1, False, False)
    assert "'tset'" in verdicts["squares"]["error"]
    assert not (drawn_project / "artifacts").exists()


def test_check_suggests_at_which_scale_to_train(drawn_project: Path, data: Data) -> None:
    assert "  suggested view: whole: the thinnest tenth of objects is " in data("check", "discs").stdout
    suggested = json.loads(data("check", "discs", "--json").stdout)["discs"]["suggested_view"]
    assert set(suggested) == {"view", "has_thin_objects", "needs_detail", "reason"}
    assert suggested["view"] == "whole"


def test_sample_draws_into_the_project_and_refuses_to_overwrite(drawn_project: Path, data: Data) -> None:
    arguments = ("sample", "--domain", "surface_cracks", "--count", "3")
    image = drawn_project / "data/surface_cracks/images/surface_cracks_0000.jpg"
    assert "Next: naslora data check surface_cracks" in data(*arguments).stdout
    before = image.read_bytes()
    assert "exists already" in str(data(*arguments, "--seed", "8", error=DataError).exception)
    assert image.read_bytes() == before
    data(*arguments, "--seed", "8", "--replace")
    assert image.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("sample", "--domain", "lungs"), ConfigError, "unknown sample domain 'lungs'"),
        (("check", "lungs"), ConfigError, "unknown domain 'lungs'"),
        (("show", "lungs"), ConfigError, "unknown domain 'lungs'"),
    ],
)
def test_an_unknown_domain_is_refused_and_nothing_is_written(
    drawn_project: Path, data: Data, arguments: tuple[str, ...], error: type[NasLoraError], message: str
) -> None:
    assert message in str(data(*arguments, error=error).exception)
    assert sorted(path.name for path in drawn_project.iterdir()) == [".dvcignore", "data", "dvc.yaml", "params.yaml"]


def test_check_without_data_says_how_to_get_some(drawn_project: Path, data: Data) -> None:
    shutil.rmtree(drawn_project / "data")
    assert "naslora data sample" in str(data("check", error=DataError).exception)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(data: Data, command: str) -> None:
    assert f"Example: naslora data {command}" in data(command, "--help").stdout
