"""The `naslora` command as a user meets it."""

import re
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app

HEAVY = {
    "torch",
    "numpy",
    "pandas",
    "PIL",
    "pydantic",
    "ruamel",
    "prefect",
    "dvc",
    "great_expectations",
    "matplotlib",
}


def test_the_command_imports_nothing_heavy():
    code = "import sys, pipelines.cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in loaded
    assert not HEAVY & set(loaded)


def test_help_answers_at_once(capsys):
    command = [sys.executable, "-c", "from pipelines.cli.app import main; main()", "--help"]
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - begin)
    with capsys.disabled():
        print(f"\nnaslora --help: {min(times):.2f} s")  # noqa: T201
    # 0.4 s on an idle machine; the bound leaves room for a busy one and fails for any heavy import.
    assert min(times) < 2.5


def commands(typer_app, prefix=()):
    for group in typer_app.registered_groups:
        yield from commands(group.typer_instance, (*prefix, group.name))
    for command in typer_app.registered_commands:
        yield (*prefix, command.name or command.callback.__name__.strip("_").replace("_", "-"))


@pytest.mark.parametrize("command", list(commands(app)), ids=" ".join)
def test_every_command_shows_an_example(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    text = re.sub(r"[\s│]+", " ", result.output)
    assert f"Example: naslora {' '.join(command)}" in text


def test_version_is_that_of_the_package():
    assert CliRunner().invoke(app, ["--version"]).output == f"naslora {version('naslora')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--domain", "disks"], "unknown domain 'disks'; params.yaml lists discs, squares"),
        (["stage", "train", "--domain", "discs"], "unknown stage 'train'; known: "),
        (["stage", "validate", "--domain", "disks"], "unknown domain 'disks'"),
        (["stage", "validate", "--domain", "discs", "--set", "trian.lr=1"], "unknown parameter 'trian.lr'"),
        (["stage", "validate", "--domain", "discs", "--set", "train.lr=fast"], "'train.lr' is 'fast'"),
        (["stage", "validate", "--domain", "discs", "--run", "../x"], "cannot name a run"),
        (["predict", "empty", "--domain", "discs", "--out", "masks"], "empty holds no image"),
        (["predict", "empty", "--domain", "disks", "--out", "masks"], "in service: discs, squares"),
    ],
)
def test_a_mistake_is_one_message_and_no_traceback(project, arguments, message):
    (project.root / "empty").mkdir()
    before = project.snapshot("artifacts", "serving")
    result = project.naslora(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert project.snapshot("artifacts", "serving") == before
    assert not (project.root / "runs").exists()


def test_outside_a_project_the_command_says_so(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", "from pipelines.cli.app import main; main()", "run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "is not in a naslora project" in result.stderr


def test_an_ad_hoc_stage_writes_beside_the_pipeline(project):
    before = project.snapshot("artifacts", "serving")
    result = project.naslora(
        "stage", "validate", "--domain", "discs", "--run", "strict", "--set", "quality.min_pairs=2"
    )
    assert result.returncode == 0, result.stderr
    assert (project.root / "runs" / "strict" / "validate" / "discs" / "verdict.json").is_file()
    assert "Next: naslora stage preprocess --domain discs --run strict --set quality.min_pairs=2" in result.stdout
    assert project.snapshot("artifacts", "serving") == before


def test_an_ad_hoc_stage_that_fails_fails_the_command(project):
    result = project.naslora("stage", "validate", "--run", "strict")
    assert result.returncode == 2
    assert "the following arguments are required: --domain" in result.stderr
    assert "Next:" not in result.stdout


def test_doctor_fails_for_what_is_missing_and_says_what_to_do(project):
    healthy = CliRunner().invoke(app, ["doctor"])
    assert healthy.exit_code == 0, healthy.output
    assert f"torch {version('torch')}" in healthy.output
    assert "Next: naslora run" in healthy.output
    (project.root / "models" / "base.safetensors").unlink()
    (project.root / "models" / "base.safetensors.dvc").touch()
    broken = CliRunner().invoke(app, ["doctor"])
    assert broken.exit_code == 1
    assert "✗ base model" in broken.output
    assert "Next: dvc pull models/base.safetensors.dvc" in broken.output


def test_only_training_can_be_forced():
    from naslora_core.errors import ConfigError

    result = CliRunner().invoke(app, ["stage", "merge", "--domain", "discs", "--force"])
    assert isinstance(result.exception, ConfigError)
    assert "--force is for search-train alone" in str(result.exception)
