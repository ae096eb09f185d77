"""A project in miniature: real DVC, real images, and stages that take no time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from naslora_core.errors import NasLoraError
from naslora_core.evaluation.metrics import METRICS
from pipelines.dvc import command
from tests.fixtures.once import made_once
from tests.fixtures.preloaded import fast_python

REPOSITORY = Path(__file__).parents[2]
DOMAINS = ("discs", "squares")

STAGE = """
import csv, hashlib, json, os, pathlib, sys, time
stage, domain = sys.argv[1], (sys.argv[2:] or [""])[0]
out = pathlib.Path("artifacts", stage, domain)
out.mkdir(parents=True, exist_ok=True)
with open(".naslora/executed", "a") as file:
    file.write(f"{stage}@{domain}\\n" if domain else f"{stage}\\n")
data = pathlib.Path("data", domain)
if stage == "validate":
    files = sorted(path for path in data.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    (out / "verdict.json").write_text(digest)
    measured = pathlib.Path(".naslora/measurements", domain + ".parquet")
    if measured.exists():
        (out / "measurements.parquet").write_bytes(measured.read_bytes())
    with open(data / "splits.csv") as file:
        items = list(csv.DictReader(file))
    prepared = pathlib.Path("artifacts/preprocess", domain)
    prepared.mkdir(parents=True, exist_ok=True)
    (prepared / "manifest.json").write_text(json.dumps({"dataset_sha256": digest, "items": items}))
if stage == "search_train":
    (out / "adapter.safetensors").write_text(pathlib.Path("artifacts/validate", domain, "verdict.json").read_text())
    (out / "adapter.json").write_text("{}")
    warm = pathlib.Path(".naslora/warm", domain, "start.json")
    start = json.loads(warm.read_text()) if warm.exists() else {"epochs": 20, "version": None}
    training = {"epochs": start["epochs"], "train_seconds": start["epochs"] * 2, "warm_start": start["version"]}
    (out / "metrics.json").write_text(json.dumps(training))
if stage == "merge":
    if pathlib.Path("slow").exists():
        pathlib.Path("slow").write_text(str(os.getpid()))
        time.sleep(120)
    if pathlib.Path("broken").exists():
        print("  epoch 1/2", file=sys.stderr)
        print("error: the loss became infinite in epoch 1;\\nlower train.lr", file=sys.stderr)
        sys.exit(1)
    if pathlib.Path("crash").exists():
        raise ZeroDivisionError("division by zero")
    adapter = pathlib.Path("artifacts/search_train", domain, "adapter.safetensors")
    (out / "model.safetensors").write_bytes(adapter.read_bytes())
    base = {"name": "sam_tiny", "image_size": 256, "sha256": "0" * 64}
    (out / "model.json").write_text(json.dumps({"origin": {"base": base, "seed": 7}}))
    (out / "certificate.json").write_text(json.dumps({"mode": "fold", "reason": "a test"}))
if stage == "evaluate":
    # A domain may say how good its models are; every image differs a little from that.
    score = float((data / "score.txt").read_text()) if (data / "score.txt").exists() else 0.5
    names = METRIC_NAMES
    scores = {model: dict.fromkeys(names, score) for model in ("base", "adapted", "merged")}
    bounds = {model: {name: {"mean": score, "low": 0, "high": 1} for name in names} for model in scores}
    (out / "metrics.json").write_text(json.dumps(scores))
    (out / "summary.json").write_text(json.dumps({"images": 3, "models": bounds}))
    with open(out / "per_image.csv", "w") as file:
        file.write("name,model," + ",".join(names) + "\\n")
        for place, image in enumerate(("image_13", "image_14", "image_15")):
            file.write(f"{image},merged" + f",{score + place / 100}" * len(names) + "\\n")
    (out / "gallery").mkdir()
    (out / "gallery" / "01.png").write_bytes((data / "images" / "image_13.png").read_bytes())
    (out / "gallery.json").write_text(json.dumps([{"strip": "gallery/01.png"}]))
if stage == "report":
    domains = sorted(path.name for path in pathlib.Path("artifacts/evaluate").iterdir())
    (out / "index.html").write_text(",".join(domains))
"""

DVC_YAML = """
stages:
  validate:
    matrix: {domain: "${domains}"}
    cmd: python stage.py validate ${item.domain}
    deps: ["data/${item.domain}"]
    params: [quality]
    outs: ["artifacts/validate/${item.domain}/verdict.json", "artifacts/preprocess/${item.domain}/manifest.json"]
  search_train:
    matrix: {domain: "${domains}"}
    cmd: python stage.py search_train ${item.domain}
    deps: ["artifacts/validate/${item.domain}/verdict.json", "${model.checkpoint}"]
    params: [seed, model, adapter, search, train]
    outs:
      - artifacts/search_train/${item.domain}/adapter.safetensors
      - artifacts/search_train/${item.domain}/adapter.json
      - artifacts/search_train/${item.domain}/metrics.json
  merge:
    matrix: {domain: "${domains}"}
    cmd: python stage.py merge ${item.domain}
    deps: ["artifacts/search_train/${item.domain}/adapter.safetensors"]
    params: [merge]
    outs:
      - artifacts/merge/${item.domain}/model.safetensors
      - artifacts/merge/${item.domain}/model.json
      - artifacts/merge/${item.domain}/certificate.json
  evaluate:
    matrix: {domain: "${domains}"}
    cmd: python stage.py evaluate ${item.domain}
    deps: ["artifacts/merge/${item.domain}/model.safetensors", "data/${item.domain}"]
    outs:
      - artifacts/evaluate/${item.domain}/metrics.json
      - artifacts/evaluate/${item.domain}/summary.json
      - artifacts/evaluate/${item.domain}/per_image.csv
      - artifacts/evaluate/${item.domain}/gallery.json
      - artifacts/evaluate/${item.domain}/gallery
  report:
    cmd: python stage.py report
    deps: [artifacts/evaluate]
    params: [domains]
    outs: ["artifacts/report"]
"""

CARD = """
name: {name}
title: {name} on grey
classes: [{name}]
mask_threshold: 128
split: {{kind: random, seed: 1, train: 0.5, validation: 0.25, test: 0.25}}
licence: CC0-1.0
citation: none
source: drawn
"""


class Project:
    """The project's folder, with questions tests ask."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def executed(self) -> list[str]:
        """The stages that ran since the last call, sorted; DVC does not know of this record."""
        record = self.root / ".naslora" / "executed"
        lines = record.read_text().split() if record.exists() else []
        record.unlink(missing_ok=True)
        return sorted(lines)

    def snapshot(self, *folders: str) -> dict[str, bytes]:
        """The content of every file in the folders."""
        files = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def touch_image(self, domain: str, name: str = "image_03") -> None:
        """Change one image a little."""
        path = self.root / "data" / domain / "images" / f"{name}.png"
        pixels = np.array(Image.open(path))
        pixels[0, 0] = 255 - pixels[0, 0]
        Image.fromarray(pixels).save(path)

    def score(self, domain: str, value: float) -> None:
        """Change an image, and how good the model will be that is trained with it."""
        self.touch_image(domain)
        (self.root / "data" / domain / "score.txt").write_text(str(value))

    def edit_params(self, section: str, **changes: object) -> None:
        """Change settings of a section; "" is the top of the file."""
        editor = YAML()
        params = editor.load((self.root / "params.yaml").read_text())
        (params[section] if section else params).update(changes)
        editor.dump(params, self.root / "params.yaml")

    def naslora(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command as a user does."""
        command = [fast_python(), *NASLORA[1:], *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False, timeout=300)


NASLORA = [sys.executable, "-c", "from pipelines.cli.app import main; main()"]


def write_domain(root: Path, seed: int) -> None:
    """Draw sixteen images with one bright blob each."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rows, columns = np.mgrid[:48, :48]
    for index in range(16):
        row, column, radius = rng.integers(14, 34), rng.integers(14, 34), rng.integers(6, 12)
        blob = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        image = rng.normal(90, 20, (48, 48, 3)) + 80 * blob[..., None]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "images" / f"image_{index:02}.png")
        Image.fromarray(np.where(blob, 255, 0).astype(np.uint8)).save(root / "masks" / f"image_{index:02}.png")
    (root / "dataset.yaml").write_text(CARD.format(name=root.name))
    splits = ["train"] * 10 + ["validation"] * 3 + ["test"] * 3
    lines = [f"image_{index:02},{split}" for index, split in enumerate(splits)]
    (root / "splits.csv").write_text("\n".join(["name,split", *lines]) + "\n")


@pytest.fixture(scope="session", autouse=True)
def _fast_dvc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_DVC", [fast_python(), "-m", "dvc"])
        yield


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that has run once; do not change it."""
    return Project(made_once(tmp_path_factory, "project", _run_project))


def _run_project(root: Path) -> None:
    (root / "stage.py").write_text(STAGE.replace("METRIC_NAMES", repr(tuple(METRICS))))
    (root / "dvc.yaml").write_text(DVC_YAML)
    shutil.copy(REPOSITORY / ".dvcignore", root / ".dvcignore")
    editor = YAML()
    params = editor.load((REPOSITORY / "params.yaml").read_text())
    params["domains"] = list(DOMAINS)
    params["model"]["checkpoint"] = "models/base.safetensors"
    editor.dump(params, root / "params.yaml")
    (root / "models").mkdir()
    (root / "models" / "base.safetensors").write_bytes(b"weights")
    for seed, domain in enumerate(DOMAINS):
        write_domain(root / "data" / domain, seed)
    dvc = [fast_python(), "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=root, check=True)
    subprocess.run([*dvc, "add", "--quiet", "data"], cwd=root, check=True)
    first = Project(root).naslora("run")
    assert first.returncode == 0, first.stdout + first.stderr
    (root / "first_run.txt").write_text(first.stdout)


@pytest.fixture
def project(finished_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Return a copy of the finished project, as working folder, with an empty record of what ran."""
    root = tmp_path / "project"
    shutil.copytree(finished_project.root, root, copy_function=shutil.copy2)
    copy = Project(root)
    copy.executed()
    monkeypatch.chdir(root)
    yield copy
    os.chdir("/")


@pytest.fixture(scope="session")
def make_domains() -> Callable[[Path], None]:
    """Return a function that writes a project with data and settings into a folder, and no version of anything."""

    def make(root: Path) -> None:
        for seed, domain in enumerate(DOMAINS):
            write_domain(root / "data" / domain, seed)
        editor = YAML()
        params = editor.load((REPOSITORY / "params.yaml").read_text())
        params["domains"] = list(DOMAINS)
        editor.dump(params, root / "params.yaml")
        (root / "dvc.yaml").touch()
        shutil.copy(REPOSITORY / ".dvcignore", root / ".dvcignore")

    return make


@pytest.fixture
def drawn_project(make_domains: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return such a project, as working folder."""
    make_domains(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def data() -> Callable[..., Result]:
    """Return a function that runs a data command in this process, and wants it to succeed or to raise `error`."""

    def run(*arguments: str, error: type[NasLoraError] | None = None) -> Result:
        from pipelines.cli.data.app import data_app

        result = CliRunner().invoke(data_app, arguments)
        if error is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, error), (result.output, result.exception)
        return result

    return run
