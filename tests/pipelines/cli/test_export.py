"""`naslora export`, on a project of one sam_tiny with random weights and one trained and merged adapter."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ruamel.yaml import YAML
from typer.testing import CliRunner

from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.saved import CONFIG_FILE, FILES, load_adapted, save_adapted
from naslora_core.config import load_params
from naslora_core.export.graph import Exported
from naslora_core.merge.exact import exact
from naslora_core.merge.merged import load_merged, save_merged
from naslora_core.sam.build import build_sam
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.sam.weights import save_weights
from pipelines.cli import app as cli
from pipelines.cli.app import app

PARAMS = Path(__file__).parents[3] / "params.yaml"
FOLDER = "artifacts/search_train/leaves"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with the outputs of search_train and merge for the domain leaves."""
    root = tmp_path_factory.mktemp("project")
    editor = YAML()
    content = editor.load(PARAMS.read_text())
    content["domains"] = ["leaves"]
    content["model"]["checkpoint"] = str(root / "base.safetensors")
    content["adapter"]["method"] = "lora"
    editor.dump(content, root / "params.yaml")
    (root / "dvc.yaml").touch()
    (root / "data" / "leaves").mkdir(parents=True)
    (root / "data" / "leaves" / "dataset.yaml").touch()
    params = load_params(root / "params.yaml")
    torch.manual_seed(1)
    save_weights(params.model.checkpoint, build_sam("sam_tiny").state_dict(), {})
    sam = load_base(params.model)
    adapters = add_adapters(sam, params.adapter, params.search, params.seed)
    for layer in adapters.values():
        torch.nn.init.normal_(layer.lora_B, std=0.05)
    trained, merged = root / FOLDER, root / "runs/merged/merge/leaves"
    for folder in (trained, merged):
        folder.mkdir(parents=True)
    save_adapted(trained, PromptFreeSegmenter(sam), adapters, params.model, params.adapter, params.search, params.seed)
    origin = json.loads((trained / CONFIG_FILE).read_text())
    save_merged(merged, exact(sam), "sam_tiny", "exact", origin)
    return root


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    """The project as a working folder; exports go there and vanish."""
    monkeypatch.chdir(built)
    yield built
    for path in built.glob("leaves*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def export(*arguments):
    return CliRunner().invoke(app, ["export", *arguments])


def error_of(monkeypatch, capsys, *arguments):
    """Run the command as a user does, and return what it says as it fails."""
    monkeypatch.setattr(sys, "argv", ["naslora", "export", *arguments])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    return capsys.readouterr().err


def test_a_sam_checkpoint_is_written_and_the_lines_that_load_it(root):
    result = export("sam", "--domain", "leaves", "--run", "merged")
    assert result.exit_code == 0, result.output
    assert 'torch.load("leaves.pth", weights_only=True)' in result.output
    written = torch.load(root / "leaves.pth", weights_only=True)
    expected = load_merged(root / "runs/merged/merge/leaves").state_dict()
    assert all(torch.equal(written[key], value) for key, value in expected.items())


def test_a_peft_folder_is_written_and_the_lines_that_load_it(root):
    result = export("peft", "--domain", "leaves", "--run", "merged", "--out", "leaves_lora")
    assert result.exit_code == 0, result.output
    assert 'PeftModel.from_pretrained(sam, "leaves_lora")' in result.output
    assert (root / "leaves_lora" / "adapter_config.json").is_file()


def test_a_folder_for_transformers_is_written_and_the_lines_that_load_it(root):
    result = export("hf", "--domain", "leaves", "--run", "merged")
    assert result.exit_code == 0, result.output
    assert 'SamModel.from_pretrained("leaves_hf")' in result.output
    assert json.loads((root / "leaves_hf" / "config.json").read_text())["model_type"] == "sam"


def test_a_lora_is_written_for_the_sam_of_transformers(root):
    result = export("peft", "--for", "transformers", "--domain", "leaves", "--run", "merged")
    assert result.exit_code == 0, result.output
    assert 'PeftModel.from_pretrained(SamModel.from_pretrained(base), "leaves_peft")' in result.output
    assert "vision_encoder.layers" in (root / "leaves_peft" / "adapter_config.json").read_text()
    assert export("peft", "--for", "keras", "--domain", "leaves", "--run", "merged").exit_code == 2


def test_an_exported_adapter_loads_as_the_original_does(root):
    result = export("adapter", "--domain", "leaves")
    assert result.exit_code == 0, result.output
    assert 'load_adapted(Path("leaves_adapter"), params.model)' in result.output
    model = load_params(root / "params.yaml").model
    ours, theirs = (load_adapted(root / at, model)[0].state_dict() for at in ("leaves_adapter", FOLDER))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert {path.name for path in (root / "leaves_adapter").iterdir()} == set(FILES)
    # As pasted into a fresh interpreter, in the project's folder.
    pasted: dict[str, object] = {}
    exec(result.output.partition("load it with\n\n")[2], pasted)
    segmenter = pasted["segmenter"]
    assert isinstance(segmenter, PromptFreeSegmenter)
    assert all(torch.equal(value, theirs[key]) for key, value in segmenter.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "module", "options"),
    [("onnx", "onnx_file.export_onnx", {"opset": 18}), ("torch", "torch_program.export_torch_program", {})],
)
def test_a_graph_is_written_where_it_should_and_what_its_check_found_is_told(root, monkeypatch, kind, module, options):
    calls = []

    def export_graph(*arguments):
        calls.append(arguments)
        return Exported(0.000012, "import it")

    monkeypatch.setattr(f"naslora_core.export.{module}", export_graph)
    result = export(kind, "--domain", "leaves", "--run", "merged", "--out", "leaves.graph")
    assert result.exit_code == 0, result.output
    assert calls == [(root / "runs/merged/merge/leaves", Path("leaves.graph"), *options.values())]
    assert "at most 1e-05 away from the model's" in result.output
    # As it is pasted: Python takes indented lines for an error.
    assert "\nimport it\n" in result.output


def test_a_quantised_file_is_compared_on_the_domains_images_and_its_certificate_told(root, monkeypatch, capsys):
    calls = []

    def export_quantised(*arguments):
        calls.append(arguments)
        measured = SimpleNamespace(summary=lambda: "mask IoU 0.9987")
        return SimpleNamespace(certificate=measured, certificate_file=Path("beside.json"), lines="import it")

    monkeypatch.setattr("naslora_core.export.onnx_quantised.export_quantised", export_quantised)
    arguments = ("onnx", "--domain", "leaves", "--run", "merged", "--quantise", "int8")
    assert "stage 'preprocess' has not run for domain 'leaves'" in error_of(monkeypatch, capsys, *arguments)
    (root / "artifacts/preprocess/leaves").mkdir(parents=True)
    result = export(*arguments, "--min-iou", "0.9", "--opset", "19")
    assert result.exit_code == 0, result.output
    folders = (root / "runs/merged/merge/leaves", root / "artifacts/preprocess/leaves")
    assert calls == [(folders[0], Path("leaves.int8.onnx"), folders[1], "int8", 19, 0.9)]
    assert "Checked: mask IoU 0.9987\nWritten: leaves.int8.onnx, and its certificate beside.json" in result.output
    (root / "leaves.int8.certificate.json").touch()
    assert "leaves.int8.certificate.json exists" in error_of(monkeypatch, capsys, *arguments)
    shutil.rmtree(root / "artifacts/preprocess")


def test_a_least_iou_without_quantising_is_a_mistake(root):
    result = export("onnx", "--domain", "leaves", "--run", "merged", "--min-iou", "0.9")
    assert result.exit_code == 2
    assert "add --quantise" in result.output


@pytest.mark.parametrize(("kind", "target"), [("sam", "leaves.pth"), ("hf", "leaves_hf"), ("peft", "leaves_peft")])
def test_an_earlier_export_is_replaced_only_with_force(root, monkeypatch, capsys, kind, target):
    arguments = (kind, "--domain", "leaves", "--run", "merged")
    assert export(*arguments).exit_code == 0
    assert f"{target} exists; give another --out, or --force" in error_of(monkeypatch, capsys, *arguments)
    assert export(*arguments, "--force").exit_code == 0


def test_force_never_deletes_a_folder_that_is_no_export(root, monkeypatch, capsys):
    (root / "leaves_mine").mkdir()
    (root / "leaves_mine" / "photo.png").touch()
    for kind in ("peft", "adapter"):
        arguments = (kind, "--domain", "leaves", "--run", "merged", "--out", "leaves_mine", "--force")
        assert "is not an earlier export: it holds photo.png" in error_of(monkeypatch, capsys, *arguments)
    message = error_of(monkeypatch, capsys, "sam", "--domain", "leaves", "--run", "merged", "--out", "data", "--force")
    assert "data exists" in message
    assert (root / "leaves_mine" / "photo.png").is_file()


def test_a_model_that_is_not_there_is_one_message(root, monkeypatch, capsys):
    assert "stage 'merge' has not run for domain 'leaves'" in error_of(monkeypatch, capsys, "sam", "--domain", "leaves")
    assert "unknown domain 'weeds'" in error_of(monkeypatch, capsys, "peft", "--domain", "weeds")
