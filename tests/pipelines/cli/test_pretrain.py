import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.data.synthetic.scenes import SCENE_GENERATOR_VERSION
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.pretraining import evaluate, loop
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import read_metadata, save_weights
from pipelines.cli.app import app


def test_weights_are_never_overwritten(tmp_path):
    weights = tmp_path / "sam.safetensors"
    weights.write_bytes(b"precious")
    result = CliRunner().invoke(app, ["pretrain", "--output", str(weights)])
    assert isinstance(result.exception, ConfigError)
    assert "exists" in str(result.exception)
    assert weights.read_bytes() == b"precious"


def test_an_odd_number_of_prompts_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["pretrain", "--prompts", "3", "--output", str(tmp_path / "new.safetensors")])
    assert isinstance(result.exception, ConfigError)
    assert "prompts_per_scene is 3" in str(result.exception)


def test_weights_that_are_not_there_are_named(tmp_path):
    result = CliRunner().invoke(app, ["pretrain", "--evaluate", str(tmp_path / "none.safetensors")])
    assert isinstance(result.exception, CheckpointError)
    assert "none.safetensors not found" in str(result.exception)


def test_evaluation_prints_a_line_for_points_and_one_for_boxes(tmp_path, monkeypatch):
    torch.manual_seed(0)
    weights = tmp_path / "sam.safetensors"
    save_weights(weights, build_sam("sam_tiny").state_dict(), {})
    measure = evaluate.evaluate_prompts
    monkeypatch.setattr(evaluate, "evaluate_prompts", lambda sam, progress: measure(sam, scene_count=10))
    result = CliRunner().invoke(app, ["pretrain", "--evaluate", str(weights)])
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    scores = {line[0]: [float(value) for value in line[1:]] for line in lines if line and line[0] in ("point", "box")}
    assert set(scores) == {"point", "box"}
    assert all(0 <= value <= 1 for values in scores.values() for value in values)


def test_an_unknown_model_is_refused_with_those_there_are(tmp_path):
    result = CliRunner().invoke(app, ["pretrain", "--evaluate", str(tmp_path / "x.pth"), "--model", "vit_x"])
    assert isinstance(result.exception, ConfigError)
    assert "--model is 'vit_x'; known are sam_tiny, vit_b" in str(result.exception)


def test_a_short_run_writes_weights_with_their_settings_a_curve_and_its_picture(tmp_path, monkeypatch):
    measured = dict.fromkeys(
        (f"{kind}_{how}" for kind in ("point", "box") for how in ("single", "best", "oracle")), 0.5
    )
    monkeypatch.setattr(loop, "evaluate_prompts", lambda sam, progress: measured)
    monkeypatch.setattr(loop, "CURVE_EVERY", 1)
    weights = tmp_path / "new.safetensors"
    options = ["--steps", "2", "--decay-steps", "1", "--small-steps", "1", "--batch-size", "1", "--prompts", "2"]
    result = CliRunner().invoke(app, ["pretrain", *options, "--output", str(weights)])
    assert result.exit_code == 0
    assert f"learning curve: {weights}.csv and {weights}.png" in result.stdout
    notes = read_metadata(weights)
    assert json.loads(notes["config"])["small_steps"] == 1
    assert notes["scene_generator_version"] == str(SCENE_GENERATOR_VERSION)
    assert len(Path(f"{weights}.csv").read_text().splitlines()) == 3
    with Image.open(f"{weights}.png") as picture:
        assert picture.size[0] > picture.size[1]


def test_a_domain_is_measured_only_with_weights():
    result = CliRunner().invoke(app, ["pretrain", "--domain", "leaf_lesions"])
    assert isinstance(result.exception, ConfigError)
    assert "needs --evaluate" in str(result.exception)


def test_evaluation_on_a_domain_reads_its_test_images(tmp_path, monkeypatch):
    torch.manual_seed(0)
    weights = tmp_path / "sam.safetensors"
    save_weights(weights, build_sam("sam_tiny").state_dict(), {})
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").touch()
    generate_domain("leaf_lesions", tmp_path / "data" / "leaf_lesions", count=6, seed=1)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["pretrain", "--evaluate", str(weights), "--domain", "leaf_lesions"])
    assert result.exit_code == 0
    assert "Mean IoU on the test images of leaf_lesions" in result.stdout


@pytest.mark.parametrize("kind", ["point", "box"])
def test_the_shipped_base_has_learnt_to_segment(kind):
    """The weights in models/ promise these scores in their own notes; half of the scenes must not be far off."""
    from pathlib import Path

    from naslora_core.config import ModelConfig
    from naslora_core.sam.checkpoint import load_base
    from naslora_core.sam.weights import read_metadata

    path = Path(__file__).parents[3] / "models" / "sam_tiny.safetensors"
    if not path.is_file():
        pytest.skip("models/sam_tiny.safetensors is not there; run dvc pull models/sam_tiny.safetensors.dvc")
    promised = float(read_metadata(path)[f"held_out_{kind}_oracle_iou"])
    assert promised >= 0.60
    sam = load_base(ModelConfig(name="sam_tiny", checkpoint=path, image_size="native", precision="auto"))
    assert evaluate.evaluate_prompts(sam, scene_count=40)[f"{kind}_oracle"] == pytest.approx(promised, abs=0.06)
