"""Stage preprocess: images at the size the model is configured for."""

import json
from pathlib import Path

import pytest

from naslora_core.config import load_params
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.dataset.view import VIEW_FILE, SuggestedView, write_view
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.progress import silent
from stages import preprocess
from stages.paths import StagePaths
from stages.search_train import _decide

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def paths(tmp_path) -> StagePaths:
    """A project whose data was accepted."""
    paths = StagePaths(tmp_path)
    generate_domain("leaf_lesions", paths.data("leaf_lesions"), count=6, seed=1)
    cleared = paths.output("validate", "leaf_lesions") / "clearance.json"
    cleared.parent.mkdir(parents=True)
    sha256 = fingerprint(read_dataset(paths.data("leaf_lesions")))
    cleared.write_text(json.dumps({"passed": True, "dataset_sha256": sha256}))
    return paths


def test_images_are_prepared_at_the_configured_size(paths):
    for setting, side in (("native", 256), (96, 96)):
        params = load_params(PARAMS, [f"model.image_size={setting}", "train.view=whole"])
        preprocess.main("leaf_lesions", params, paths, silent)
        prepared = load_prepared(paths.output("preprocess", "leaf_lesions"), "train")
        assert prepared.images.shape[1:] == (side, side, 3)
        assert {max(size) for size in prepared.input_sizes} == {side}


@pytest.mark.parametrize("suggested", ["whole", "crops"])
def test_a_view_that_is_auto_is_the_one_that_the_gate_suggests_and_said(paths, suggested):
    reason = f"objects ask for {suggested}"
    view = SuggestedView(view=suggested, has_thin_objects=True, needs_detail=True, reason=reason)
    write_view(paths.output("validate", "leaf_lesions") / VIEW_FILE, view)
    said = []
    params = load_params(PARAMS, ["model.image_size=64", "train.view=auto"])
    preprocess.main("leaf_lesions", params, paths, lambda done, total, message: said.append(message))
    assert said[0] == reason
    prepared = load_prepared(paths.output("preprocess", "leaf_lesions"), "train", scale=2.0)
    assert (prepared.scale, prepared.side) == ((2.0, 64) if suggested == "crops" else (None, 64))


@pytest.mark.parametrize(("is_thin", "detail", "loss"), [(True, "half", "ce_dice_cl"), (False, "off", "ce_dice")])
def test_detail_and_loss_that_are_auto_follow_from_how_thin_objects_are(tmp_path, is_thin, detail, loss):
    write_view(
        tmp_path / VIEW_FILE,
        SuggestedView(view="crops", has_thin_objects=is_thin, needs_detail=is_thin, reason="measured"),
    )
    train = load_params(PARAMS, ["train.detail=auto", "train.loss=auto"]).train
    decided, found = _decide(train, tmp_path / VIEW_FILE)
    assert (decided.detail, found, decided.loss) == (detail, detail, loss)
    given = train.model_copy(update={"detail": "full", "loss": "structure"})
    assert _decide(given, tmp_path / "none.json") == (given, "full")
