"""The pipeline that ships, on tiny data: a clone predicts the same masks, and what it trains comes back."""

import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pipelines.conftest import REPOSITORY
from tests.pipelines.models.conftest import Checkout
from tests.stages.drawn import DOMAIN, draw_project

SMALL = {
    "model": {"image_size": 64},
    "quality": {"min_pairs": 12},
    "adapter": {"rank": 2},
    "search": {"warmup_epochs": 0},
    "train": {"epochs": 1, "batch_size": 4},
    "merge": {"calibration_images": 4},
    "evaluate": {"gallery_size": 1},
    # So that a second model is promoted however little it has learnt.
    "retrain": {"max_drop": 0.9},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A project in git that has run once and shared all, with a bare repository and a remote beside it."""
    folder = tmp_path_factory.mktemp("shipped")
    root = folder / "first"
    for name in ("naslora_core", "stages"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root / name)
    draw_project(root)
    checkout = Checkout(root)
    editor = YAML()
    params = editor.load((root / "params.yaml").read_text(encoding="utf-8"))
    params["domains"] = [DOMAIN]
    for section, values in SMALL.items():
        params[section].update(values)
    editor.dump(params, root / "params.yaml")
    checkout.shell("git init --quiet --bare --initial-branch main ../hub.git && git init --quiet --initial-branch main")
    checkout.shell(f"dvc init --quiet && dvc remote add --quiet --default store {folder / 'store'}")
    checkout.shell("dvc add --quiet data models/sam_tiny.safetensors && git add . && git commit --quiet -m First")
    checkout.shell("git remote add origin ../hub.git && git push --quiet --set-upstream origin main && naslora run")
    checkout.share("First model")
    return checkout


def masks(checkout: Checkout, out: Path) -> dict[str, bytes]:
    """Predict masks of the domain's images, and return the files."""
    checkout.shell(f"naslora predict data/{DOMAIN}/images --domain {DOMAIN} --out {out}")
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.png"))}


def test_a_clone_predicts_the_same_masks_and_its_model_comes_back(trained, tmp_path):
    subprocess.run(["git", "clone", "--quiet", trained.root.parent / "hub.git", tmp_path / "second"], check=True)
    second = Checkout(tmp_path / "second")
    second.shell("dvc pull")
    assert "Nothing has changed" in second.shell("naslora run")
    expected = masks(trained, tmp_path / "masks_first")
    assert expected
    assert masks(second, tmp_path / "masks_second") == expected
    second.edit_params("train", epochs=2)
    said = second.shell("naslora run")
    assert f"{DOMAIN} version 2 in service; " in said
    assert "of version 1 on the same" in said
    second.share("Two epochs")
    trained.shell("git pull --quiet && dvc pull --quiet")
    assert "Nothing has changed" in trained.shell("naslora run")
    assert trained.served(DOMAIN) == second.served(DOMAIN)
    trained.shell(f"naslora models rollback {DOMAIN}")
    assert masks(trained, tmp_path / "masks_back") == expected
