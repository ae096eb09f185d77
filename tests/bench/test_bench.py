"""`naslora bench` on a drawn domain and a base with random weights: real stages, one epoch."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import save_weights
from pipelines import bench
from pipelines.cli import app

ROOT = Path(__file__).parents[2]
TABLE = """
question: Does it run?
reference: lora
domains: [leaf_lesions]
seeds: [7]
settings: [model.image_size=64, train.epochs=1, train.batch_size=4, merge.calibration_images=2, merge.max_metric_drop=1]
rows:
  lora: [adapter.method=lora]
  nas_lora: [adapter.method=nas_lora, search.warmup_epochs=0, search.arch_every=1]
"""


def naslora(root: Path, *arguments: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return CliRunner().invoke(app, ["bench", "--table", "tiny", *arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose table has been measured once."""
    root = tmp_path_factory.mktemp("project")
    generate_domain("leaf_lesions", root / "data" / "leaf_lesions", count=12, seed=1)
    torch.manual_seed(21)
    save_weights(root / "models" / "sam_tiny.safetensors", build_sam("sam_tiny").state_dict(), {})
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    (root / "dvc.yaml").touch()
    (root / "configs" / "bench").mkdir(parents=True)
    (root / "configs" / "bench" / "tiny.yaml").write_text(TABLE)
    result = naslora(root, "--rounds", "1")
    assert result.exit_code == 0, result.output
    assert "2 trainings, 0 of them finished before" in result.output
    return root


def test_a_table_leaves_scores_differences_costs_and_pictures(project):
    folder = project / "artifacts" / "bench" / "tiny"
    results = pd.read_parquet(folder / "results.parquet")
    assert set(results["row"]) == {"lora", "nas_lora"}
    assert set(results["model"]) == {"base", "adapted", "merged"}
    summary = json.loads((folder / "table.json").read_text())
    row = summary["domains"]["leaf_lesions"]["nas_lora"]
    own = results[(results["row"] == "nas_lora") & (results["model"] == "adapted")].set_index("name")["dice"]
    other = results[(results["row"] == "lora") & (results["model"] == "adapted")].set_index("name")["dice"]
    assert row["adapted"]["mean"] == pytest.approx(own.mean(), abs=1e-6)
    assert row["difference"]["mean"] == pytest.approx((own - other).mean(), abs=1e-6)
    assert row["difference"]["seeds"] == 1
    assert row["merge"] == ["calibrated"]
    assert summary["cost"]["nas_lora"]["search_ratio"] > 0
    assert summary["cost"]["lora"]["memory_ratio"] == 1
    assert "| nas_lora | 1 |" in (folder / "table.md").read_text()
    pictures = {path.name.removeprefix("leaf_lesions-") for path in folder.glob("*.png")}
    assert pictures == {"parameters.png", "cost.png", "convergence.png", "architecture-nas_lora.png"}


def test_only_what_is_missing_is_run(project, monkeypatch):
    ran = []
    monkeypatch.setattr(bench, "run_job", lambda job, progress: ran.append(str(job.cell)))
    assert naslora(project, "--rounds", "1").exit_code == 0
    assert ran == []
    assert "to run    leaf_lesions:lora:seed=8" in naslora(project, "--plan", "--seed", "8").output
    naslora(project, "--set", "train.lr=0.1")
    assert ran == ["leaf_lesions:lora:seed=7", "leaf_lesions:nas_lora:seed=7"]


def test_one_row_is_run_anew_and_one_that_fails_does_not_hide_the_others(project, monkeypatch):
    copy = project.parent / "again"
    shutil.copytree(project, copy, symlinks=True)

    def fail(job, progress):
        raise PipelineError(f"no luck with {job.cell}")

    monkeypatch.setattr(bench, "run_job", fail)
    result = naslora(copy, "--only", "leaf_lesions:nas_lora:seed=7", "--rounds", "0")
    assert "leaf_lesions:nas_lora:seed=7: failed: no luck" in result.output
    assert "1 trainings, 0 of them finished before" in result.output
    assert isinstance(result.exception, PipelineError)
    assert "| lora | 1 |" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "gone"], "gone.yaml not found; tables in .*: tiny"),
        (["--row", "other"], "--row other is no row of this table; known: lora, nas_lora"),
        (["--model", "vit_b"], "--model vit_b is none of this table's models: it has none"),
        (["--domain", "nowhere"], "unknown domain 'nowhere'"),
    ],
)
def test_a_wrong_name_lists_the_right_ones(project, arguments, message):
    result = naslora(project, *arguments)
    assert isinstance(result.exception, ConfigError)
    with pytest.raises(ConfigError, match=message):
        raise result.exception
