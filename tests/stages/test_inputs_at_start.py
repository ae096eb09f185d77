"""Inputs that are edited while a stage works: real DVC, and a stage that edits them itself and takes no time."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.dvc.command import environment
from tests.fixtures.preloaded import fast_python

REPOSITORY = Path(__file__).parents[2]
STAGE = """
from pathlib import Path
from stages.runner import run_stage

def main(domain, params, paths, progress):
    exec(Path("meanwhile.py").read_text())
    Path("epochs.txt").write_text(str(params.train.epochs))

run_stage(main)
"""
DVC_YAML = """
stages:
  learn:
    matrix: {domain: [discs]}
    cmd: python stage.py --domain discs
    deps: [data/discs, stages, models/base.safetensors]
    params: [train.epochs, model.name]
    outs: [epochs.txt: {cache: false}]
"""
REPLACE = "path = Path({!r}); path.write_text(path.read_text().replace({!r}, {!r}))"


def settings(epochs: int) -> str:
    text = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    assert "  epochs: 12\n" in text
    return text.replace("  epochs: 12\n", f"  epochs: {epochs}\n")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A project whose stage has not run."""
    root = tmp_path_factory.mktemp("drawn")
    for name, content in {
        "stage.py": STAGE,
        "dvc.yaml": DVC_YAML,
        "meanwhile.py": "",
        "params.yaml": settings(2),
        "data/discs/dataset.yaml": "name: discs",
        "models/base.safetensors": "weights",
        "stages/part.py": "SIZE = 1",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    subprocess.run([fast_python(), "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True)
    return root


class Run:
    """The project, and what a run of its stage says."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def repro(self, meanwhile: str = "") -> tuple[int, str]:
        """Run `dvc repro` while something happens; returns its exit code, and what it printed."""
        (self.root / "meanwhile.py").write_text(meanwhile)
        env = environment() | {"PYTHONPATH": str(REPOSITORY)}
        command = [fast_python(), "-m", "dvc", "repro"]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def kept(self) -> list[Path]:
        """The results in DVC's run cache."""
        return [path for path in self.root.glob(".dvc/cache/runs/*/*/*") if path.is_file()]


@pytest.fixture
def project(drawn, tmp_path) -> Run:
    shutil.copytree(drawn, tmp_path / "project")
    return Run(tmp_path / "project")


def test_settings_edited_meanwhile_are_not_recorded_for_the_result_of_the_former(project):
    code, said = project.repro(REPLACE.format("params.yaml", "epochs: 2\n", "epochs: 3\n"))
    assert code != 0
    assert "params.yaml was changed while learn@discs worked with the former settings, in train.epochs" in said
    assert not (project.root / "dvc.lock").exists()
    assert project.repro()[0] == 0
    assert (project.root / "epochs.txt").read_text() == "3"
    (project.root / "params.yaml").write_text(settings(2))
    code, said = project.repro()
    assert code == 0
    assert "is cached - skipping run" in said
    assert (project.root / "epochs.txt").read_text() == "2"


def test_settings_of_other_stages_may_be_edited_meanwhile(project):
    code, said = project.repro(REPLACE.format("params.yaml", "seed: ", "seed: 1"))
    assert code == 0, said
    assert len(project.kept()) == 1


def test_data_models_and_code_edited_meanwhile_are_named_and_nothing_is_recorded(project):
    files = ["data/discs/dataset.yaml", "models/base.safetensors", "stages/part.py"]
    code, said = project.repro("\n".join(REPLACE.format(file, "", "#") for file in files))
    assert code != 0
    assert f"changed while learn@discs worked with what was there before: {', '.join(files)}" in said
    assert not (project.root / "dvc.lock").exists()
    assert project.kept() == []
