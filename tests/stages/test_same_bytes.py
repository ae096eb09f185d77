"""The same inputs give the same bytes: in another folder, time zone and history, whatever is in service."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from naslora_core.config import Params, load_params
from naslora_core.progress import silent
from stages import evaluate, merge, preprocess, report, search_train, validate
from stages.paths import StagePaths
from tests.stages.drawn import DOMAIN, draw_project

STAGES = (validate, preprocess, search_train, merge, evaluate)
SETTINGS = (
    "model.image_size=64",
    "adapter.rank=2",
    "train.epochs=2",
    "train.view=crops",
    # Fewer of them than at the images' own scale.
    "train.scale=0.5",
    "search.warmup_epochs=1",
    "search.arch_every=1",
    "evaluate.gallery_size=2",
)


def draw(root: Path) -> Params:
    """Write data, base and settings; the same ones in every folder."""
    root.mkdir(parents=True)
    return load_params(root / "params.yaml", [*draw_project(root), *SETTINGS])


def run(root: Path, params: Params) -> None:
    for stage in STAGES:
        stage.main(DOMAIN, params, StagePaths(root), silent)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The pipeline without the report, run in two folders; in the second with traces of other runs."""
    top = tmp_path_factory.mktemp("places")
    one, other = top / "one", top / "another user" / "deep" / "place with blanks"
    run(one, draw(one))
    params = draw(other)
    paths = StagePaths(other)
    # Arrays and measurements of an earlier run, and a model in service that was trained on other data.
    for stage in (validate, preprocess):
        stage.main(DOMAIN, params, paths, silent)
    served = paths.served_measurements(DOMAIN)
    served.parent.mkdir(parents=True)
    shutil.copy(paths.output("validate", DOMAIN) / "measurements.parquet", served)
    shutil.rmtree(other / "artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        run(other, params)
    os.environ.pop("TZ", None)
    time.tzset()
    return one, other


def test_all_outputs_but_times_are_the_same_bytes(places: tuple[Path, Path]) -> None:
    one, other = (digests(root / "artifacts") for root in places)
    assert one.keys() == other.keys()
    differing = {name for name in one if one[name] != other[name]}
    assert differing <= {f"timing/{DOMAIN}/{stage}.json" for stage in ("search_train", "merge", "evaluate")}
    stages = {name.partition("/")[0] for name in one}
    assert stages == {"validate", "preprocess", "search_train", "merge", "evaluate", "timing"}


def test_a_threshold_that_the_data_still_meets_changes_nothing_that_is_depended_on(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(places[0], root)
    params = load_params(root / "params.yaml", [f"domains=[{DOMAIN}]", *SETTINGS])
    folder = StagePaths(root).output("validate", DOMAIN)
    before = digests(folder)
    lower = params.quality.model_copy(update={"min_pairs": params.quality.min_pairs - 1})
    validate.main(DOMAIN, params.model_copy(update={"quality": lower}), StagePaths(root), silent)
    for name in ("clearance.json", "view.json"):
        assert digests(folder)[name] == before[name]
    cleared = json.loads((folder / "clearance.json").read_text())
    assert set(cleared) == {"format", "passed", "dataset", "dataset_sha256"}


@pytest.mark.slow
def test_the_report_shows_times_where_they_are_known_and_is_whole_without(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(places[0], root)
    params = load_params(root / "params.yaml", [f"domains=[{DOMAIN}]", *SETTINGS])
    page = root / "artifacts" / "report" / "index.html"
    report.main("", params, StagePaths(root), silent)
    assert "Training took" in page.read_text(encoding="utf-8")
    assert "Seconds per image" in page.read_text(encoding="utf-8")
    shutil.rmtree(root / "artifacts" / "timing")
    report.main("", params, StagePaths(root), silent)
    text = page.read_text(encoding="utf-8")
    assert "Training took" not in text
    assert "Seconds per image" not in text
    assert "How long an image takes is not known here" in text
