"""`git clone` and `dvc pull`, which is what everybody types first, with the remote that ships."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.preloaded import fast_python

ROOT = Path(__file__).parents[2]


def sh(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a person does who has just cloned the project; returns its exit code and what it said."""
    alone = {"DVC_SITE_CACHE_DIR": str(root.parent / "site"), "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(words, cwd=root, env=os.environ | alone, capture_output=True, text=True, check=False)


def dvc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return sh(root, fast_python(), "-m", "dvc", *words)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh clone of this checkout's last commit."""
    if sh(ROOT, "git", "rev-parse", "HEAD").returncode:
        pytest.skip("this checkout is no git repository, so there is nothing to clone")
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    cloned = sh(folder.parent, "git", "clone", "--quiet", str(ROOT), str(folder))
    assert cloned.returncode == 0, cloned.stderr
    return folder


def test_dvc_pull_brings_data_and_base_model_and_ends_well(clone):
    pulled = dvc(clone, "pull")
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert (clone / "data" / "leaf_lesions" / "splits.csv").is_file()
    assert (clone / "models" / "sam_tiny.safetensors").stat().st_size > 1_000_000
    assert sh(clone, "git", "status", "--porcelain").stdout == ""


def test_dvc_pull_and_push_end_well_while_a_domain_has_not_run_yet(clone):
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("domains:\n", "domains:\n  - my_leaves\n", 1))
    for command in ("pull", "push"):
        done = dvc(clone, command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert sh(clone, "git", "status", "--porcelain").stdout == " M params.yaml\n", "dvc push added files to git"
