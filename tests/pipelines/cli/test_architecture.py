"""`naslora architecture` on the files of trainings: found under a budget, a mixture, and none."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from naslora_core.adapters.budget.architecture import read_architecture
from naslora_core.errors import ConfigError, PipelineError
from pipelines.cli.app import app

DOMAIN = "leaves"
LAYER = {
    "layer": "image_encoder.blocks.1.mlp.lin1", "window": "image", "weights": {"conv_3x3": 1.0},
    "argmax": "conv_3x3", "operation": "conv_3x3", "ranks": {"lin1": 4}, "sees": "image", "cost": 0.012,
}  # fmt: skip
FOUND = {
    "format": 1, "space": ["conv_3x3"], "spatial": ["conv_3x3"], "layers": [LAYER], "inference": 1.012,
    "parameters": 1234,
}  # fmt: skip
MIXTURE = {
    "space": ["none", "conv_3x3"],
    "layers": [
        {"layer": "image_encoder.blocks.0.attn.qkv", "window": "8x8", "weights": {"none": 0.3, "conv_3x3": 0.7}}
    ],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose last training found an architecture under a budget."""
    for name in ("dvc.yaml", "params.yaml", f"data/{DOMAIN}/dataset.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    write(tmp_path / "artifacts", FOUND)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(top: Path, genotype: dict[str, object]) -> None:
    folder = top / "search_train" / DOMAIN
    folder.mkdir(parents=True)
    (folder / "genotype.json").write_text(json.dumps(genotype), encoding="utf-8")
    about = {"method": "nas_lora", "search": {"budget": 1.02}}
    (folder / "adapter.json").write_text(json.dumps(about), encoding="utf-8")


def run(*options: str):
    return CliRunner().invoke(app, ["architecture", DOMAIN, *options])


def test_the_table_is_followed_by_how_to_use_the_architecture_again(project: Path):
    result = run()
    assert result.exit_code == 0, result.output
    assert "1      mlp.lin1  lin1 4  conv_3x3   image  +1.20 %" in result.output
    assert "estimated inference 1.012 of the base's, 1.02 allowed; 1,234 parameters." in result.output
    assert f"cp artifacts/search_train/{DOMAIN}/genotype.json architectures/{DOMAIN}.json" in result.output
    assert f"--set search.from=architectures/{DOMAIN}.json" in result.output
    # What the advice copies is what search.from reads.
    assert list(read_architecture(project / "artifacts" / "search_train" / DOMAIN / "genotype.json")) == [
        "blocks.1.mlp.lin1"
    ]


def test_a_mixture_shows_the_largest_operation_of_every_layer(project: Path):
    write(project / "runs" / "mixed", MIXTURE)
    output = run("--run", "mixed").output
    assert "block 0 · 8x8  conv_3x3           0.70" in output
    assert "a mixture cannot be given to another training" in output
    assert "cp " not in output


def test_a_method_without_a_search_says_so(project: Path):
    write(project / "runs" / "lora", {"space": [], "layers": []})
    assert "Nothing was searched: the method nas_lora has no architecture" in run("--run", "lora").output


def test_json_is_the_genotype_and_its_file(project: Path):
    document = json.loads(run("--json").stdout)
    assert document["file"].endswith(f"artifacts/search_train/{DOMAIN}/genotype.json")
    assert document["layers"][0]["ranks"] == {"lin1": 4}


def test_what_is_not_there_is_named(project: Path):
    missing = run("--run", "nobody")
    assert isinstance(missing.exception, PipelineError)
    assert "run 'nobody' has no training of 'leaves'" in str(missing.exception)
    unknown = CliRunner().invoke(app, ["architecture", "moon"])
    assert isinstance(unknown.exception, ConfigError)
    assert DOMAIN in str(unknown.exception)
