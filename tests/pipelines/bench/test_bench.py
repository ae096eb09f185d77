"""`naslora bench` on a drawn domain and a base with random weights: real stages, one epoch."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from naslora_core.bench.table import load_table
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import read_weights, save_weights
from pipelines.bench import jobs as bench
from pipelines.bench import rival
from pipelines.cli.app import app

ROOT = Path(__file__).parents[3]
TABLE = """
question: Does it run?
reference: lora
domains: [leaf_lesions]
seeds: [7]
settings:
  [model.image_size=64, train.view=whole, train.epochs=1, train.batch_size=4, merge.calibration_images=2,
   merge.max_metric_drop=1]
rows:
  lora: [adapter.method=lora]
  nas_lora:
    [adapter.method=nas_lora, search.budget=none, search.space=linear, search.warmup_epochs=0, search.arch_every=1]
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
    again = "naslora bench --table=tiny --rounds=1 --only=leaf_lesions:nas_lora:seed=7"
    text = (folder / "table.md").read_text()
    assert "| nas_lora | 1 |" in text
    assert f"- leaf_lesions, nas_lora: `{again}`" in text
    assert row["again"] == again
    assert not [*project.glob("runs/bench-*/evaluate/*/gallery*")]
    pictures = {path.name.removeprefix("leaf_lesions-") for path in folder.glob("*.png")}
    assert pictures == {"parameters.png", "cost.png", "convergence.png", "architecture-nas_lora.png"}


def test_the_page_needs_no_other_file_and_says_what_the_table_says(project):
    folder = project / "artifacts" / "bench" / "tiny"
    page = (folder / "index.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!#)[^\"']*|url\((?!#)|@import", page)
    summary = json.loads((folder / "table.json").read_text())
    row, price = summary["domains"]["leaf_lesions"]["nas_lora"], summary["cost"]["nas_lora"]
    text = " ".join(html.unescape(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)).split())
    mean, difference = row["adapted"]["mean"], row["difference"]
    assert f"nas_lora {mean:.3f} {row['adapted']['low']:.3f} to {row['adapted']['high']:.3f} " in text
    ends = [f"{difference[end]:+.3f}".replace("-", "−") for end in ("mean", "low", "high")]
    assert "{} {} to {}".format(*ends).replace("+0.000", "0.000").replace("−0.000", "0.000") in text
    assert f"{row['trainable_parameters']:,} {price['search_ratio']:.2f}× {price['memory_ratio']:.2f}×" in text
    assert row["again"] in text
    assert page.count("<svg") == page.count('role="img"') == 4


@pytest.mark.slow
def test_only_what_is_missing_is_run(project, monkeypatch):
    ran = []
    monkeypatch.setattr(bench, "run_job", lambda job, progress: ran.append(str(job.training)))
    earlier = project / "artifacts" / "bench" / "tiny" / "another_domain-cost.png"
    earlier.touch()
    assert naslora(project, "--rounds", "1").exit_code == 0
    assert ran == []
    assert not earlier.exists()
    assert "to run    leaf_lesions:lora:seed=8" in naslora(project, "--plan", "--seed", "8").output
    for setting in ("evaluate.gallery_size=3", "retrain.max_drop=0.5", "quality.min_pairs=5", "train.tensorboard=true"):
        assert naslora(project, "--rounds", "1", "--set", setting).exit_code == 0
        assert ran == [], f"{setting} decides no result"
    naslora(project, "--set", "train.lr=0.1")
    assert ran == ["leaf_lesions:lora:seed=7", "leaf_lesions:nas_lora:seed=7"]


def test_times_that_nobody_has_kept_are_left_out_and_those_of_earlier_versions_are_found(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy, symlinks=True)
    for folder in copy.glob("runs/bench-*/timing"):
        shutil.rmtree(folder)
    (done,) = [path for path in copy.glob("runs/bench-*/bench.json") if ":nas_lora:" in path.read_text()]
    metrics = done.parent / "search_train" / "leaf_lesions" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"train_seconds": 123.0}))
    result = naslora(copy, "--rounds", "0")
    assert result.exit_code == 0, result.output
    folder = copy / "artifacts" / "bench" / "tiny"
    rows = json.loads((folder / "table.json").read_text())["domains"]["leaf_lesions"]
    assert [rows[name][time] for name in ("lora", "nas_lora") for time in ("latency_ratio", "train_seconds")] == [
        None, None, None, 123.0,
    ]  # fmt: skip
    assert "2 minutes" in (folder / "index.html").read_text()


def test_rows_of_another_view_have_arrays_of_their_own(project, tmp_path):
    root = tmp_path / "views"
    shutil.copytree(project, root, symlinks=True)
    rows = "  lora: [train.view=whole]\n  crops: [train.view=crops]\n  halves: [train.view=crops, train.scale=0.5]\n"
    (root / "configs" / "bench" / "views.yaml").write_text(TABLE[: TABLE.index("  lora:")] + rows)
    for job in (jobs := bench.plan(root, load_table(root / "configs" / "bench" / "views.yaml"), [])):
        bench._prepare(job, silent)
    arrays = {job.training.row: job.paths.output("preprocess", "leaf_lesions").resolve() for job in jobs}
    recipes = {row: json.loads((arrays[row] / "manifest.json").read_text())["recipe"] for row in arrays}
    assert {row: recipe.get("view", "whole") for row, recipe in recipes.items()} == {
        "lora": "whole", "crops": "crops", "halves": "crops",
    }  # fmt: skip
    assert arrays["crops"] == arrays["halves"]


def test_one_row_is_run_anew_and_one_that_fails_does_not_hide_the_others(project, monkeypatch):
    copy = project.parent / "again"
    shutil.copytree(project, copy, symlinks=True)

    def fail(job, progress):
        raise PipelineError(f"no luck with {job.training}")

    monkeypatch.setattr(bench, "run_job", fail)
    result = naslora(copy, "--only", "leaf_lesions:nas_lora:seed=7", "--rounds", "0")
    assert "leaf_lesions:nas_lora:seed=7: failed after 0 seconds: no luck" in result.output
    assert "1 trainings, 0 of them finished before" in result.output
    assert isinstance(result.exception, PipelineError)
    assert "| lora | 1 |" in result.output


@pytest.fixture
def with_rival(project, tmp_path, monkeypatch) -> Path:
    """A copy whose table has a rival to nas_lora, which is said to have trained for a second."""
    root = tmp_path / "rival"
    shutil.copytree(project, root, symlinks=True)
    (root / "configs" / "bench" / "tiny.yaml").write_text(
        TABLE + "rivals: {unet: nas_lora}\nrival_rates: [0.001, 0.003]\n"
    )
    (done,) = [path for path in root.glob("runs/bench-*/bench.json") if ":nas_lora:" in path.read_text()]
    times = done.parent / "timing" / "leaf_lesions" / "search_train.json"
    assert json.loads(times.read_text())["train_cpu_seconds"] > 0.1
    times.write_text(json.dumps({"train_seconds": 1.5, "train_cpu_seconds": 1.0}))
    monkeypatch.setattr(rival, "best_device", lambda: torch.device("cpu"))
    return root


def test_a_unet_gets_the_time_of_its_opponent_and_is_compared_with_it(with_rival):
    result = naslora(with_rival, "--rounds", "0")
    assert "3 trainings, 2 of them finished before" in result.output
    folder = with_rival / "artifacts" / "bench" / "tiny"
    rows = json.loads((folder / "table.json").read_text())["domains"]["leaf_lesions"]
    unet = rows["unet"]
    assert 0.5 < unet["train_cpu_seconds"] < 1.6
    assert (unet["merge"], unet["rival_of"], unet["latency_ratio"]) == (["none"], "nas_lora", None)
    assert unet["learning_rates"][0] in (0.001, 0.003)
    assert unet["adapted"] == unet["merged"]
    results = pd.read_parquet(folder / "results.parquet")
    adapted = results[results["model"] == "adapted"].pivot_table(index="name", columns="row", values="dice")
    assert unet["difference"]["mean"] == pytest.approx((adapted["unet"] - adapted["lora"]).mean(), abs=1e-6)
    said = "a U-Net from scratch, trained for as long as nas_lora with the same seed (1 CPU seconds on the mean)"
    assert said in (folder / "table.md").read_text()
    assert said in (folder / "index.html").read_text()
    assert len([*folder.glob("*.png")]) == 3
    again = naslora(with_rival, "--rounds", "0", "--row", "unet")
    assert "3 trainings, 3 of them finished before" in again.output


def test_a_unet_without_an_opponent_says_what_is_missing(with_rival):
    kept = {path: json.loads(path.read_text()) for path in with_rival.rglob("search_train.json")}
    (times,) = [path for path, taken in kept.items() if taken == {"train_seconds": 1.5, "train_cpu_seconds": 1.0}]
    times.write_text(json.dumps({"train_seconds": 1.5}))
    result = naslora(with_rival, "--rounds", "0", "--only", "leaf_lesions:unet:seed=7")
    assert f"{times} does not say how long the row trained" in result.output
    (times.parents[2] / "bench.json").unlink()
    result = naslora(with_rival, "--rounds", "0", "--only", "leaf_lesions:unet:seed=7")
    assert "the training whose time it gets has not finished; run that one first" in result.output


def results_of(root: Path) -> dict[str, bytes]:
    """What the finished trainings of a project have found, by run, file and tensor."""
    found = {}
    for run in [done.parent for done in root.glob("runs/*/bench.json")]:
        for path in run.rglob("per_image.csv"):
            found[f"{run.name} {path.name}"] = path.read_bytes()
        # The header of such a file has its entries in any order.
        for path in run.glob("*/*/*.safetensors"):
            weights = read_weights(path)
            found |= {f"{run.name} {path.name} {key}": value.numpy().tobytes() for key, value in weights.items()}
    return found


@pytest.mark.slow
def test_two_at_a_time_find_what_one_after_the_other_finds_and_a_third_may_fail(project, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    copy = project.parent / "jobs"
    shutil.copytree(project, copy, symlinks=True)
    for folder in copy.glob("runs/bench-*"):
        if (folder / "bench.json").is_file():
            shutil.rmtree(folder)
    table = copy / "configs" / "bench" / "tiny.yaml"
    table.write_text(TABLE.replace("rows:\n", 'rows:\n  nowhere: ["adapter.target_modules=[nowhere]"]\n'))
    result = naslora(copy, "--jobs", "2", "--rounds", "0")
    assert "3 trainings, 0 of them finished before" in result.output
    assert re.search(r"leaf_lesions:nowhere:seed=7: failed after \d+ seconds: .*match no layer", result.output)
    assert len(re.findall(r"lora:seed=7: finished after \d+ seconds", result.output)) == 2
    assert "1 trainings failed: leaf_lesions:nowhere:seed=7" in str(result.exception)
    wanted = results_of(project)
    assert len(wanted) > 100
    assert results_of(copy) == wanted


def test_a_process_that_dies_is_a_failure_with_a_reason(project):
    jobs = bench.plan(project, load_table(project / "configs" / "bench" / "tiny.yaml"), [])
    pool = Mock(submit=lambda *_: Mock(result=Mock(side_effect=BrokenProcessPool())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "ProcessPoolExecutor", lambda *_: nullcontext(pool))
        patch.setattr(bench, "as_completed", list)
        outcomes = dict(bench._outcomes(jobs, 2, silent))
    assert all("killed, perhaps for want of memory" in str(outcome.error) for outcome in outcomes.values())
    assert list(outcomes) == jobs


KILL = """
import os, signal
from naslora_core.training import loop
run = loop.AlternatingPhases.run_epoch
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
# After the first step of the second epoch, as a machine that loses power.
loop.AlternatingPhases.run_epoch = lambda self, epoch, progress: run(self, epoch, die if epoch == 1 else progress)
from pipelines.cli.app import app
app(["bench", "--table", "tiny", "--row", "lora", "--set", "train.epochs=3", "--rounds", "0"])
"""


@pytest.mark.slow
def test_a_bench_that_is_killed_goes_on_from_the_last_epoch(project, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    arguments = ["--row", "lora", "--set", "train.epochs=3", "--rounds", "0"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for root in (killed, whole):
        shutil.copytree(project, root, symlinks=True, ignore=shutil.ignore_patterns("resume"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", KILL], cwd=killed, env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    (state_file,) = killed.glob(".naslora/resume/*.pt")
    before = torch.load(state_file, weights_only=True)
    assert len(before["record"]["epochs"]) == 1
    for root in (killed, whole):
        result = naslora(root, *arguments)
        assert result.exit_code == 0, result.output
    assert results_of(killed) == results_of(whole)
    # The first epoch was not run again: its time is still that of the run that was killed.
    times = [json.loads(path.read_text())["epochs"] for path in killed.glob("runs/bench-*/timing/*/search_train.json")]
    (first,) = [epochs[0] for epochs in times if len(epochs) == 3]
    assert first == before["record"]["epochs"][0]["seconds"]


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
