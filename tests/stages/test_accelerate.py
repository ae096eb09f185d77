"""One training by two processes, as `accelerate launch` starts them, against the same by one."""

import csv
import os
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from naslora_core.config import load_params
from naslora_core.progress import silent
from naslora_core.training.distributed import Processes
from stages import preprocess, search_train, validate
from stages.paths import StagePaths
from tests.fixtures.preloaded import fast_python
from tests.stages.drawn import DOMAIN, MIXTURE, REPOSITORY, draw_project


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_shares_make_up_the_batch_and_their_weighted_mean_is_its_mean(count, rows):
    losses = torch.arange(rows, dtype=torch.float64) + 1
    total, seen = 0.0, []
    for rank in range(count):
        processes = Processes()
        processes.count, processes.rank = count, rank
        share, weight = processes.share(rows)
        seen += losses[share].tolist() if weight else []
        total += weight * float(losses[share].mean()) / count
    assert sorted(seen) == losses.tolist()
    assert total == pytest.approx(float(losses.mean()))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> StagePaths:
    """A project that is ready to train, with seven images in batches of four: one share of the last one is empty."""
    root = tmp_path_factory.mktemp("project")
    draw_project(root)
    paths = StagePaths(root)
    for stage in (validate, preprocess):
        stage.main(DOMAIN, load_params(paths.params), paths, silent)
    return paths


def history(paths: StagePaths) -> list[dict[str, str]]:
    with (paths.output("search_train", DOMAIN) / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_two_processes_train_what_one_trains(project):
    settings = [*MIXTURE, "train.epochs=2", "search.warmup_epochs=0", "search.arch_every=1", "search.arch_split=0.3"]
    settings += [
        "adapter.rank=2",
        "train.batch_size=4",
        "model.precision=fp32",
        "model.image_size=64",
        "train.view=whole",
    ]
    settings += [f"model.checkpoint={project.root / 'models/sam_tiny.safetensors'}"]
    params = load_params(project.params, settings)
    one, two = StagePaths(project.root, "one"), StagePaths(project.root, "two")
    for paths in (one, two):
        for stage in (validate, preprocess):
            stage.main(DOMAIN, params, paths, silent)
    search_train.main(DOMAIN, params, one, silent)
    launch = [fast_python(), "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    words = ["-m", "stages.search_train", "--domain", DOMAIN, "--run", "two"]
    words += [word for setting in settings for word in ("--set", setting)]
    # A port of its own choice: the usual one may be taken on this machine.
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        [*launch, "--main_process_port", "0", *words], cwd=project.root, env=environment,
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for file in ("adapter.safetensors", "mask_decoder.safetensors"):
        expected = load_file(one.output("search_train", DOMAIN) / file)
        found = load_file(two.output("search_train", DOMAIN) / file)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=2e-4, rtol=2e-3, msg=f"{name} differs")
    for row, other in zip(history(one), history(two), strict=True):
        for column in ("train_loss", "arch_loss", "validation_dice"):
            assert float(row[column]) == pytest.approx(float(other[column]), abs=1e-3)
