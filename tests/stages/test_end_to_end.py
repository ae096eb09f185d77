"""The real stages, one after the other, on a handful of images and a base with random weights."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.config import Params, load_params
from naslora_core.errors import DataError
from naslora_core.predict import Predictor
from naslora_core.progress import silent
from stages import evaluate, merge, preprocess, report, search_train, validate
from stages.paths import StagePaths
from tests.stages.drawn import DOMAIN, draw_project

PER_DOMAIN = {
    "validate": validate,
    "preprocess": preprocess,
    "search_train": search_train,
    "merge": merge,
    "evaluate": evaluate,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Params]:
    """A project in which every stage has run once."""
    root = tmp_path_factory.mktemp("project")
    drawn = draw_project(root)
    settings = [
        *drawn,
        "train.epochs=2",
        "search.warmup_epochs=1",
        "search.arch_every=1",
        "adapter.rank=2",
        "model.image_size=64",
        "train.view=whole",
        "evaluate.gallery_size=2",
    ]
    params = load_params(root / "params.yaml", settings)
    for stage in PER_DOMAIN.values():
        stage.main(DOMAIN, params, StagePaths(root), silent)
    report.main("", params, StagePaths(root), silent)
    return root, params


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_stage_leaves_its_results_and_the_report_shows_them(finished):
    root, _ = finished
    paths = StagePaths(root)
    metrics = json.loads((paths.output("evaluate", DOMAIN) / "metrics.json").read_text())
    assert set(metrics) == {"base", "adapted", "merged"}
    assert metrics["merged"]["dice"] == pytest.approx(metrics["adapted"]["dice"], abs=0.01)
    certificate = json.loads((paths.output("merge", DOMAIN) / "certificate.json").read_text())
    assert certificate["passed"]
    assert certificate["max_logit_difference"] < 1e-4
    page = (paths.output("report") / "index.html").read_text()
    assert "estimated inference" in page
    assert f"{metrics['merged']['dice']:.3f}" in page


def test_nothing_is_left_of_a_finished_trainings_state(finished):
    root, _ = finished
    assert not list((root / ".naslora").rglob("*.pt"))


def test_the_same_settings_train_the_same_adapter(finished):
    root, params = finished
    again = StagePaths(root, "again")
    search_train.main(DOMAIN, params, again, silent)
    first, second = StagePaths(root).output("search_train", DOMAIN), again.output("search_train", DOMAIN)
    for name in ("adapter.safetensors", "genotype.json", "alphas.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_merged_model_needs_no_other_file(finished, tmp_path):
    root, _ = finished
    shutil.copytree(StagePaths(root).output("merge", DOMAIN), tmp_path / "alone")
    image = np.asarray(Image.open(next((root / "data" / DOMAIN / "images").glob("*.jpg"))).convert("RGB"))
    assert Predictor.merged(tmp_path / "alone")([image])[0].shape == image.shape[:2]


def truncate(data: Path) -> str:
    path = sorted((data / "images").glob("*.jpg"))[2]
    path.write_bytes(path.read_bytes()[:900])
    return path.name


def drop_mask(data: Path) -> str:
    path = sorted((data / "masks").glob("*.png"))[3]
    path.unlink()
    return path.stem


def crop_mask(data: Path) -> str:
    path = sorted((data / "masks").glob("*.png"))[4]
    with Image.open(path) as mask:
        small = mask.crop((0, 0, mask.width - 1, mask.height))
    small.save(path)
    return path.name


def drop_everything(data: Path) -> str:
    for path in (data / "images").iterdir():
        path.unlink()
    return "holds no image"


@pytest.mark.parametrize("spoil", [truncate, drop_mask, crop_mask, drop_everything])
def test_bad_data_is_named_and_leaves_models_and_results_untouched(finished, spoil, tmp_path):
    finished_root, params = finished
    root = tmp_path / "project"
    shutil.copytree(finished_root, root)
    kept = [root / "artifacts" / stage for stage in ("preprocess", "search_train", "merge", "evaluate", "report")]
    before = [digest(folder) for folder in kept]
    named = spoil(root / "data" / DOMAIN)
    with pytest.raises(DataError, match=named):
        validate.main(DOMAIN, params, StagePaths(root), silent)
    with pytest.raises(DataError):
        preprocess.main(DOMAIN, params, StagePaths(root), silent)
    assert [digest(folder) for folder in kept] == before


def test_training_without_an_adapter_merges_to_plain_sam(finished):
    root, params = finished
    paths = StagePaths(root, "decoder-only")
    stock = {
        "adapter": params.adapter.model_copy(update={"method": "none"}),
        "train": params.train.model_copy(update={"detail": "off"}),
    }
    plain = params.model_copy(update=stock)
    for name in ("search_train", "merge", "evaluate"):
        PER_DOMAIN[name].main(DOMAIN, plain, paths, silent)
    genotype = json.loads((paths.output("search_train", DOMAIN) / "genotype.json").read_text())
    assert genotype == {"space": [], "layers": []}
    certificate = json.loads((paths.output("merge", DOMAIN) / "certificate.json").read_text())
    assert certificate["max_logit_difference"] == 0
    assert certificate["parameters"]["merged"] == certificate["parameters"]["base"]


def test_training_refuses_data_that_changed_after_its_pass_and_force_goes_on_record(finished, tmp_path):
    finished_root, params = finished
    root = tmp_path / "project"
    shutil.copytree(finished_root, root)
    trained = StagePaths(root).output("search_train", DOMAIN)
    config = json.loads((trained / "adapter.json").read_text())
    manifest = json.loads((root / "artifacts" / "preprocess" / DOMAIN / "manifest.json").read_text())
    assert (config["gate"], config["dataset_sha256"]) == ("passed", manifest["dataset_sha256"])
    merged = json.loads((StagePaths(root).output("merge", DOMAIN) / "model.json").read_text())
    assert merged["origin"]["dataset_sha256"] == manifest["dataset_sha256"]

    before = digest(trained)
    drop_mask(root / "data" / DOMAIN)
    with pytest.raises(DataError, match=r"has changed since it was judged(.|\n)*--force"):
        search_train.main(DOMAIN, params, StagePaths(root), silent)
    assert digest(trained) == before
    trial = StagePaths(root, "forced")
    search_train.main(DOMAIN, params, trial, silent, force=True)
    forced = json.loads((trial.output("search_train", DOMAIN) / "adapter.json").read_text())
    assert forced["gate"].startswith("forced: ")
    assert "has changed since it was judged" in forced["gate"]
