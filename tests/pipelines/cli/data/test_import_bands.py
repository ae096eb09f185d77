"""`naslora data import` of images of 16 bits, as a user types it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from naslora_core.data.dataset.card import read_card
from naslora_core.errors import ConfigError, DataError
from pipelines.cli.data.app import data_app

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and beside it a folder of twelve images of five bands of 16 bits with their masks."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", project)
    (project / "dvc.yaml").touch()
    monkeypatch.chdir(project)
    for kind in ("images", "masks"):
        (tmp_path / "field" / kind).mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(100, 3000, (40, 50, 5), dtype=np.uint16)
        path = tmp_path / "field" / "images" / f"{number}.tif"
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig", metadata=None)
        Image.fromarray(np.eye(40, 50, dtype=np.uint8) * 255).save(tmp_path / "field" / "masks" / f"{number}.png")
    return tmp_path / "field"


def import_(field: Path, *options: str) -> str:
    result = CliRunner().invoke(data_app, ["import", "folder", str(field), *options])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_bands_and_range_are_asked_for_taken_and_shown(field: Path) -> None:
    with pytest.raises(DataError, match=r"12 images with 5 bands of 16 bits.*(?s:.*)--range auto(?s:.*)--bands 3,2,1"):
        import_(field)
    assert "image: {bands: [5, 3, 2], range: {low: 100, high: 3000}}" in import_(
        field, "--bands", "5,3,2", "--range", "100:3000"
    )
    card = read_card(Path("data/field"))
    assert card.image is not None
    assert card.image.bands == (5, 3, 2)
    shown = CliRunner().invoke(data_app, ["show", "field"])
    assert "images     read by image: {bands: [5, 3, 2], range: {low: 100, high: 3000}}" in shown.output


@pytest.mark.parametrize(("option", "given"), [("--bands", "red"), ("--bands", "1,2"), ("--range", "3000:100")])
def test_what_makes_no_sense_names_the_option(field: Path, option: str, given: str) -> None:
    with pytest.raises(ConfigError, match=option):
        import_(field, option, given)
