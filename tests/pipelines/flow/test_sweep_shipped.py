"""A sweep as a command, on the pipeline that ships: nothing trains twice, and the printed steps take the best over."""

import json
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pipelines.conftest import REPOSITORY
from tests.pipelines.models.conftest import Checkout
from tests.pipelines.run.test_found_again import SMALL
from tests.stages.drawn import DOMAIN, draw_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SWEEP = "naslora flows sweep --method lora --workers 2 --threads 1"


@pytest.fixture
def shipped(tmp_path: Path) -> Checkout:
    """A project in git, with data and a base model in DVC, that has not run."""
    root = tmp_path / "first"
    for name in ("architectures", "naslora_core", "stages"):
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
    params["train"]["epochs"] = 1
    editor.dump(params, root / "params.yaml")
    checkout.shell("git init --quiet && dvc init --quiet && dvc add --quiet data models/sam_tiny.safetensors")
    checkout.shell("git add . && git commit --quiet -m First")
    return checkout


def test_what_a_sweep_has_trained_is_not_trained_again_and_is_taken_over_by_the_steps_it_prints(shipped):
    printed = shipped.shell(f"{SWEEP} --seed 1")
    assert "1 job trained, 0 found" in printed
    assert re.search(rf"^{DOMAIN} +lora +1 +0\.\d+ .* True$", printed, re.MULTILINE)

    again = json.loads(shipped.shell(f"{SWEEP} --seed 1 --seed 2 --json 2> words"))
    found, new = sorted(again["jobs"], key=lambda row: row["seed"])
    assert (found["trained"], new["trained"]) == (False, True)
    assert found["model_sha256"] != new["model_sha256"]
    best = max(found, new, key=lambda row: row["dice"])
    assert again["best"] == {"adapter.method": "lora", "seed": best["seed"]}
    steps = (shipped.root / "words").read_text()
    assert f"  adapter.method: lora\n  seed: {best['seed']}\n" in steps

    shipped.edit_params("adapter", method="lora")
    shipped.edit_params("", seed=best["seed"])
    [command] = re.findall(r"^then: (.*)$", steps, re.MULTILINE)
    said = shipped.shell(command)
    assert not re.findall(rf"^(?:validate|preprocess|search_train|merge|evaluate) · {DOMAIN}$", said, re.MULTILINE)
    assert f"search_train · {DOMAIN}: outputs taken from the cache" in said
    merged = shipped.root / "artifacts" / "merge" / DOMAIN / "model.safetensors"
    assert merged.read_bytes() == shipped.served(DOMAIN)
    scores = json.loads((shipped.root / "artifacts" / "evaluate" / DOMAIN / "metrics.json").read_text("utf-8"))
    assert scores["merged"]["dice"] == best["dice"]
