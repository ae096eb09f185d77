"""Going on from an earlier adapter, and measuring a model again: with real stages on a handful of images."""

import csv
import json
import shutil

import pandas as pd
import pytest

from naslora_core.adapted.warm_start import START_FILE
from naslora_core.config import Params, load_params
from naslora_core.errors import CheckpointError
from naslora_core.progress import silent
from pipelines.models.compare import measure
from stages import evaluate, merge, preprocess, search_train, validate
from stages.paths import StagePaths
from tests.stages.drawn import DOMAIN, draw_project

SETTINGS = (
    "train.epochs=2", "search.warmup_epochs=0", "search.arch_every=1", "adapter.rank=2", "train.batch_size=4",
    "model.image_size=64", "train.view=whole", "evaluate.gallery_size=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[StagePaths, Params]:
    """A project with one finished model."""
    root = tmp_path_factory.mktemp("project")
    drawn = draw_project(root)
    params = load_params(root / "params.yaml", [*SETTINGS, *drawn])
    paths = StagePaths(root)
    for stage in (validate, preprocess, search_train, merge, evaluate):
        stage.main(DOMAIN, params, paths, silent)
    return paths, params


def shares(paths: StagePaths, epoch: int) -> list[str]:
    with (paths.output("search_train", DOMAIN) / "alphas.csv").open() as file:
        return [row["weight"] for row in csv.DictReader(file) if int(row["epoch"]) == epoch]


def lay_out(paths: StagePaths, content: str) -> None:
    shutil.rmtree(paths.warm_start(DOMAIN), ignore_errors=True)
    shutil.copytree(paths.output("search_train", DOMAIN), paths.warm_start(DOMAIN))
    (paths.warm_start(DOMAIN) / START_FILE).write_text(content)


def test_measuring_a_model_again_gives_the_scores_that_evaluate_has_stored(trained):
    paths, params = trained
    again = measure(paths.root, params, DOMAIN, paths.output("merge", DOMAIN), silent)
    stored = pd.read_csv(paths.output("evaluate", DOMAIN) / "per_image.csv")
    stored = stored[stored["model"] == "merged"].set_index("name")
    assert len(again) == len(stored) > 0
    pd.testing.assert_frame_equal(again, stored[list(again)], atol=1e-5, check_dtype=False)


def branches(paths: StagePaths) -> dict[str, tuple[str, dict[str, int]]]:
    genotype = json.loads((paths.output("search_train", DOMAIN) / "genotype.json").read_text())
    return {layer["layer"]: (layer["operation"], layer["ranks"]) for layer in genotype["layers"]
            if any(layer["ranks"].values())}  # fmt: skip


def test_a_warm_start_goes_on_with_the_architecture_that_was_found_and_searches_no_other(trained):
    paths, params = trained
    lay_out(paths, '{"version": 4, "epochs": 1}')
    warm = StagePaths(paths.root, "warm-found")
    search_train.main(DOMAIN, params, warm, silent)
    metrics = json.loads((warm.output("search_train", DOMAIN) / "metrics.json").read_text())
    assert (metrics["warm_start"], metrics["epochs"]) == (4, 1)
    assert branches(warm) == branches(paths) != {}


def test_a_warm_start_begins_with_the_shares_that_were_found(trained):
    project, settings = trained
    search = {"budget": "none", "space": "linear"}
    params = settings.model_copy(
        update={
            "search": settings.search.model_copy(update=search),
            "adapter": settings.adapter.model_copy(update={"target_modules": ("attn.qkv",)}),
        }
    )
    paths = StagePaths(project.root, "mixture")
    shutil.rmtree(project.warm_start(DOMAIN), ignore_errors=True)
    search_train.main(DOMAIN, params, paths, silent)
    best = json.loads((paths.output("search_train", DOMAIN) / "metrics.json").read_text())["best_epoch"]
    lay_out(paths, '{"version": 4, "epochs": 1}')
    warm = StagePaths(paths.root, "warm")
    search_train.main(DOMAIN, params, warm, silent)
    metrics = json.loads((warm.output("search_train", DOMAIN) / "metrics.json").read_text())
    assert (metrics["warm_start"], metrics["epochs"]) == (4, 1)
    assert shares(warm, 0) == shares(paths, best) != shares(paths, 0)


def test_a_damaged_start_is_named(trained):
    paths, params = trained
    lay_out(paths, "{")
    with pytest.raises(CheckpointError, match=r"start\.json is damaged .* delete"):
        search_train.main(DOMAIN, params, StagePaths(paths.root, "broken"), silent)
