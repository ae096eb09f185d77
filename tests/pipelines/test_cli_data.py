import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from naslora_core.config import load_params
from naslora_core.errors import ConfigError, DataError, NasLoraError
from pipelines.cli_data import data_app

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def weeds(tmp_path: Path) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / "Weeds 2024" / kind).mkdir(parents=True)
    for number in range(14):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "Weeds 2024" / "images" / f"{number}.jpg")
        Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(tmp_path / "Weeds 2024" / "masks" / f"{number}.png")
    return tmp_path / "Weeds 2024"


def run(*arguments: str, error: type[NasLoraError] | None = None) -> Result:
    result = CliRunner().invoke(data_app, arguments)
    if error is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, error), (result.output, result.exception)
    return result


def test_import_names_the_domain_enables_it_and_says_what_is_next(project: Path, weeds: Path) -> None:
    output = run("import", "folder", str(weeds), "--class", "weed").stdout
    assert "14 pairs (10 train, 2 validation, 2 test)" in output
    assert "Next: naslora data check weeds_2024, then naslora run --domain weeds_2024" in output
    assert load_params(project / "params.yaml").domains[-1] == "weeds_2024"
    assert "* weeds_2024" in run("list").stdout
    assert "weeds_2024 passed" in run("check", "weeds_2024").stdout
    assert not (project / "artifacts").exists()


def test_import_takes_a_name_and_two_folders(project: Path, weeds: Path) -> None:
    folders = ("--images", str(weeds / "images"), "--masks", str(weeds / "masks"))
    run("import", "folder", "weeds", *folders, "--no-enable")
    assert (project / "data" / "weeds" / "dataset.yaml").is_file()
    assert (project / "params.yaml").read_bytes() == (REPOSITORY / "params.yaml").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "folder"), "name the folder to bring in"),
        (("import", "folder", "x", "--images", "a"), "--images and --masks belong together"),
        (("import", "kvasir", "x", "--images", "a", "--masks", "b"), "'kvasir' takes one folder"),
        (("import", "kvasir", "x", "--name", "Bad Name"), "'Bad Name' cannot name a domain"),
        (("import", "coco", "x"), "known: folder, kvasir"),
        (("sample", "--domain", "lungs"), "unknown sample domain 'lungs'"),
        (("check", "lungs"), "unknown domain 'lungs'"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    project: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in str(run(*arguments, error=ConfigError).exception)
    assert sorted(path.name for path in project.iterdir()) == ["dvc.yaml", "params.yaml"]


def test_import_tells_of_files_without_a_partner(project: Path, weeds: Path) -> None:
    (weeds / "masks" / "3.png").unlink()
    assert "no partner (3), which naslora data check will reject" in run("import", "folder", str(weeds)).stdout
    assert "13 pairs" in run("import", "folder", str(weeds), "--replace", "--pairs-only").stdout


def test_check_names_the_files_of_every_domain_that_fails(project: Path, weeds: Path) -> None:
    run("import", "folder", str(weeds), "--name", "a")
    run("import", "folder", str(weeds), "--name", "b")
    (project / "data" / "a" / "masks" / "3.png").unlink()
    (project / "data" / "b" / "splits.csv").write_text("name,split\n3,tset\n")
    message = str(run("check", error=DataError).exception)
    assert "images/3.jpg: has no mask" in message
    assert "'tset' is not a split; did you mean 'test'" in message


def test_check_without_data_says_how_to_get_some(project: Path) -> None:
    assert "naslora data sample" in str(run("check", error=DataError).exception)


def test_sample_draws_into_the_project_and_refuses_to_overwrite(project: Path) -> None:
    arguments = ("sample", "--domain", "surface_cracks", "--count", "3")
    assert "Next: naslora data check surface_cracks" in run(*arguments).stdout
    before = (project / "data/surface_cracks/images/surface_cracks_0000.jpg").read_bytes()
    assert "exists already" in str(run(*arguments, "--seed", "8", error=DataError).exception)
    assert (project / "data/surface_cracks/images/surface_cracks_0000.jpg").read_bytes() == before
    run(*arguments, "--seed", "8", "--replace")
    assert (project / "data/surface_cracks/images/surface_cracks_0000.jpg").read_bytes() != before


@pytest.mark.parametrize("command", ["sample", "import", "list", "check"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: naslora data {command}" in run(command, "--help").stdout
