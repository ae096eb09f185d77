"""Rows that train an architecture which another row has found on another domain."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from naslora_core.adapters.budget.architecture import FORMAT, LayerChoice, read_architecture
from naslora_core.bench.table import load_table
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.progress import silent
from naslora_core.sam.build import build_sam
from naslora_core.sam.weights import save_weights
from pipelines.bench import jobs as bench
from pipelines.cli.app import app

ROOT = Path(__file__).parents[3]
TABLE = """
question: Does it run?
reference: searched
domains: [leaf_lesions, surface_cracks]
seeds: [7]
settings: [model.image_size=64, train.view=whole, train.detail=off, train.epochs=1, train.batch_size=4,
           merge.calibration_images=2, merge.max_metric_drop=1, quality.min_pairs=8, search.budget=1.05, adapter.rank=4]
domain_settings: {surface_cracks: [train.batch_size=3, adapter.rank=2]}
rows:
  searched: [adapter.method=nas_lora, search.space=choices, search.warmup_epochs=0, search.alternate=joint]
transfers: {transfer: searched}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for domain in ("leaf_lesions", "surface_cracks"):
        generate_domain(domain, root / "data" / domain, count=8, seed=1)
    torch.manual_seed(21)
    save_weights(root / "models" / "sam_tiny.safetensors", build_sam("sam_tiny").state_dict(), {})
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    (root / "dvc.yaml").touch()
    (root / "configs" / "bench").mkdir(parents=True)
    (root / "configs" / "bench" / "tiny.yaml").write_text(TABLE)
    return root


def plan(root: Path, text: str = TABLE):
    path = root / "table.yaml"
    path.write_text(text)
    return {str(job.training): job for job in bench.plan(root, load_table(path), [])}


def naslora(root: Path, *arguments: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return CliRunner().invoke(app, ["bench", "--table", "tiny", "--rounds", "0", *arguments])


def test_a_transfer_trains_what_its_row_has_found_on_the_other_domain(project):
    result = naslora(project)
    assert result.exit_code == 0, result.output
    assert "4 trainings, 0 of them finished before" in result.output
    jobs = plan(project)
    found = {name: json.loads((job.folders().search_train / "genotype.json").read_text()) for name, job in jobs.items()}

    def branches(name):
        return {
            layer["layer"]: (layer["operation"], layer["ranks"])
            for layer in found[name]["layers"]
            if any(layer["ranks"].values())
        }

    for own, other in (("leaf_lesions", "surface_cracks"), ("surface_cracks", "leaf_lesions")):
        assert branches(f"{own}:transfer:seed=7") == branches(f"{other}:searched:seed=7")
        assert found[f"{own}:transfer:seed=7"]["inference"] == found[f"{other}:searched:seed=7"]["inference"]
    # Or nothing would have been shown.
    assert branches("leaf_lesions:searched:seed=7") != branches("surface_cracks:searched:seed=7")
    folder = project / "artifacts" / "bench" / "tiny"
    rows = json.loads((folder / "table.json").read_text())["domains"]["surface_cracks"]
    assert rows["transfer"]["estimated_inference"] == found["surface_cracks:transfer:seed=7"]["inference"]
    assert rows["searched"]["adapter_parameters"] == found["surface_cracks:searched:seed=7"]["parameters"]
    said = "surface_cracks, transfer: trains the architecture that searched has found on leaf_lesions"
    for file in ("table.md", "index.html"):
        assert said in (folder / file).read_text()
    assert "inference, estimated" in (folder / "table.md").read_text()
    assert (folder / "leaf_lesions-architecture-searched.png").is_file()


def test_a_transfer_has_the_settings_of_its_row_on_its_own_domain_and_does_not_search(project):
    jobs = plan(project)
    assert [*jobs][2:] == ["leaf_lesions:transfer:seed=7", "surface_cracks:transfer:seed=7"]
    for domain, batch in (("leaf_lesions", 4), ("surface_cracks", 3)):
        own, row = (jobs[f"{domain}:{name}:seed=7"].params for name in ("transfer", "searched"))
        assert row.train.batch_size == batch
        assert own.search.budget == "none"
        assert own.model_copy(update={"search": row.search}) == row


def test_a_transfer_waits_for_the_training_that_finds_its_architecture(project, tmp_path):
    job = plan(project)["leaf_lesions:transfer:seed=7"]
    waiting = replace(job, donor=replace(job.donor, root=tmp_path))
    with pytest.raises(PipelineError, match="the training whose architecture it gets has not finished; run that one"):
        bench.run_job(waiting, silent)
    assert job.waits
    assert not plan(project)["leaf_lesions:searched:seed=7"].waits


def test_a_run_is_named_by_the_architecture_that_it_trains_not_by_its_file(project, tmp_path):
    layers = {
        f"blocks.{block}.attn.qkv": LayerChoice(operation="skip_connect", ranks={"q": 2, "k": 0, "v": 4})
        for block in range(2)
    }
    given = TABLE.replace("rows:\n", "rows:\n  given: [adapter.method=nas_lora, adapter.rank=4, search.from=FILE]\n")

    def trial(name, architecture):
        layers = [{"layer": layer, **choice.model_dump()} for layer, choice in architecture.items()]
        (project / name).write_text(json.dumps({"format": FORMAT, "layers": layers}), encoding="utf-8")
        return plan(project, given.replace("FILE", name))["leaf_lesions:given:seed=7"].paths.run

    first = trial("one.json", layers)
    assert trial("two.json", layers) == first
    assert trial("one.json", {**layers, "blocks.1.attn.qkv": layers["blocks.0.attn.qkv"].model_copy(
        update={"operation": "conv_3x3"})}) != first  # fmt: skip
    assert read_architecture(project / "two.json") == layers
    donors = {plan(project, text)["leaf_lesions:transfer:seed=7"].paths.run
              for text in (TABLE, TABLE.replace("rank=2", "rank=3"))}  # fmt: skip
    assert len(donors) == 2


def test_a_row_that_finds_no_architecture_has_none_to_give(project):
    with pytest.raises(ConfigError, match=r"transfers names a row with adapter.method lora.*finds no architecture"):
        plan(project, TABLE.replace("method=nas_lora", "method=lora"))


def test_a_single_domain_leaves_the_transfer_out(project):
    result = naslora(project, "--plan", "--domain", "leaf_lesions")
    assert "left out: transfer: its architecture comes from another domain" in result.output
    assert ":searched:" in result.output
    assert ":transfer:" not in result.output
    refused = naslora(project, "--plan", "--domain", "leaf_lesions", "--row", "transfer")
    assert "name two with --domain" in str(refused.exception)
    both = naslora(project, "--plan", "--row", "transfer").output
    assert both.count(":transfer:") == both.count(":searched:") == 2
