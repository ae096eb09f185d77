"""`naslora heatmap` on a base with random weights, an adapter that was never trained, and one that was moved."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import save_adapted
from naslora_core.config import load_params
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.pictures.overlays import GAP_PX, PANEL_SIDE_PX
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights
from pipelines.cli.app import app

DOMAIN = "leaf_lesions"
REPOSITORY = Path(__file__).parents[3]
RUNS = ("untrained", "moved")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with twelve images, a base, and the adapters of two ad-hoc runs."""
    root = tmp_path_factory.mktemp("project")
    generate_domain(DOMAIN, root / "data" / DOMAIN, count=12, seed=1)
    torch.manual_seed(21)
    save_weights(root / "models" / "sam_tiny.safetensors", build_sam("sam_tiny").state_dict(), {})
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        params = load_params(root / "params.yaml", ["adapter.method=lora"])
        for run in RUNS:
            sam = load_base(params.model)
            adapters = add_adapters(sam, params.adapter, params.search, seed=0)
            if run == "moved":
                for adapter in adapters.values():
                    torch.nn.init.normal_(adapter.lora_B)
            folder = root / "runs" / run / "search_train" / DOMAIN
            folder.mkdir(parents=True)
            segmenter = PromptFreeSegmenter(sam)
            save_adapted(folder, segmenter, adapters, params.model, params.adapter, params.search, seed=0)
    return root


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def column(sheet: np.ndarray, place: int) -> np.ndarray:
    """Return the pictures of one column, without its title."""
    start = GAP_PX + place * (PANEL_SIDE_PX + GAP_PX)
    return sheet[40:, start : start + PANEL_SIDE_PX]


def test_an_adapter_that_was_never_trained_is_as_warm_as_its_base_and_another_is_not(project: Path):
    options = [word for run in RUNS for word in ("--run", run)]
    result = CliRunner().invoke(app, ["heatmap", "--domain", DOMAIN, "--images", "2", "--out", "sheet.png", *options])
    assert result.exit_code == 0, result.output
    sheet = np.asarray(Image.open(project / "sheet.png"))
    assert sheet.shape[1] == 4 * (PANEL_SIDE_PX + GAP_PX) + GAP_PX
    _, base, untrained, moved = (column(sheet, place) for place in range(4))
    np.testing.assert_array_equal(base, untrained)
    assert (base != moved).any()
    lines = result.output.splitlines()
    assert [line.rpartition("foreground: ")[2] for line in lines[-5:-2]] == ["base", "untrained: lora", "moved: lora"]
    assert lines[-2] == "Wrote sheet.png"
    assert lines[-1].startswith("Next: ")


def test_a_run_that_has_no_model_is_named():
    result = CliRunner().invoke(app, ["heatmap", "--domain", DOMAIN, "--run", "nobody"])
    assert isinstance(result.exception, CheckpointError)
    assert "runs/nobody/search_train" in str(result.exception)
    assert "run stage search-train" in str(result.exception)


def test_an_unknown_domain_lists_the_known():
    result = CliRunner().invoke(app, ["heatmap", "--domain", "moon"])
    assert isinstance(result.exception, ConfigError)
    assert DOMAIN in str(result.exception)
