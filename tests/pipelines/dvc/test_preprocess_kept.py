"""Arrays that real DVC deletes before each run: only what has changed is made and stored anew, and no disk is lost."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.dataset.view import VIEW_FILE, SuggestedView, write_view
from naslora_core.data.synthetic.generate import generate_domain
from pipelines.dvc.command import environment
from tests.fixtures.preloaded import fast_python

REPOSITORY = Path(__file__).parents[3]
DOMAIN = "leaf_lesions"


class Project:
    """A folder with the pipeline's own stage preprocess for one domain, and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root, self.output = root, root / "artifacts" / "preprocess" / DOMAIN
        stages = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        stage = stages["preprocess"]
        stage["deps"] = [dep for dep in stage["deps"] if dep.startswith(("data/", "artifacts/"))]
        YAML().dump({"stages": {"preprocess": stage}}, root / "dvc.yaml")
        params = YAML().load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        params["domains"], params["model"]["image_size"] = [DOMAIN], 64
        YAML().dump(params, root / "params.yaml")
        generate_domain(DOMAIN, root / "data" / DOMAIN, count=6, seed=1)
        self.dvc("init", "--no-scm", "--quiet")

    def dvc(self, *arguments: str) -> None:
        env = environment() | {"PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            [fast_python(), "-m", "dvc", *arguments], cwd=self.root, env=env, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def accept_and_reproduce(self) -> None:
        """Let the gate accept the data as it is, and bring the stage up to date."""
        cleared = self.root / "artifacts" / "validate" / DOMAIN / "clearance.json"
        cleared.parent.mkdir(parents=True, exist_ok=True)
        sha256 = fingerprint(read_dataset(self.root / "data" / DOMAIN))
        cleared.write_text(json.dumps({"passed": True, "dataset_sha256": sha256}))
        write_view(
            cleared.with_name(VIEW_FILE),
            SuggestedView(view="whole", has_thin_objects=False, needs_detail=False, reason="wide"),
        )
        self.dvc("repro", f"preprocess@{DOMAIN}")

    def stored(self) -> int:
        """The bytes in DVC's cache."""
        return sum(path.stat().st_size for path in (self.root / ".dvc" / "cache").rglob("*") if path.is_file())

    def inodes(self, folder: Path | None = None) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (folder or self.output).iterdir()}


def test_a_changed_image_rewrites_and_stores_its_shard_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.accept_and_reproduce()
    before, stored = project.inodes(), project.stored()
    image = next((tmp_path / "data" / DOMAIN / "images").iterdir())
    Image.fromarray(255 - np.array(Image.open(image))).save(image)
    project.accept_and_reproduce()
    after = project.inodes()
    changed = {name for name in after if after[name] != before[name]}
    shard = next(name.removesuffix(".masks.npy") for name in changed if name.endswith(".masks.npy"))
    assert len(before) > len(changed)
    assert changed == {f"{shard}.images.npy", f"{shard}.masks.npy", "manifest.json"}
    # The masks of the shard are the same bytes, which DVC knows by their hash.
    new = [project.output / f"{shard}.images.npy", project.output / "manifest.json"]
    assert project.stored() - stored == pytest.approx(sum(path.stat().st_size for path in new), abs=4096)
    # What is kept for the next run are other names of the same files.
    assert project.inodes(tmp_path / ".naslora" / "preprocess" / DOMAIN) == after


def test_arrays_of_data_that_comes_back_are_found_and_those_that_are_kept_stay_intact(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.accept_and_reproduce()
    first = {path.name: path.read_bytes() for path in project.output.iterdir()}
    image = next((tmp_path / "data" / DOMAIN / "images").iterdir())
    before = image.read_bytes()
    Image.fromarray(255 - np.array(Image.open(image))).save(image)
    project.accept_and_reproduce()
    kept = tmp_path / ".naslora" / "preprocess" / DOMAIN
    second, stored = {path.name: path.read_bytes() for path in kept.iterdir()}, project.stored()
    image.write_bytes(before)
    project.accept_and_reproduce()
    assert {path.name: path.read_bytes() for path in project.output.iterdir()} == first
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == second
    assert project.stored() == stored, "they are taken from the cache and not made again"
