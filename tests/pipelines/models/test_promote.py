"""The registry: every model with what it was made from, one in service, and the way back."""

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from naslora_core.config import load_params
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.files import file_sha256
from naslora_core.progress import silent
from pipelines.cli.app import app
from pipelines.dvc.lock_file import DvcLock
from pipelines.models.history import previous_in_service
from pipelines.models.promote import put_into_service, restore, withdraw
from pipelines.models.registry import ModelRegistry
from pipelines.run.reproduce import reproduce
from pipelines.run.steps import Request


def improve(project, *numbers: int) -> None:
    """Register and promote further models of the discs, which differ in their weights."""
    registry = ModelRegistry(project.root)
    for number in numbers:
        record = registry.read("discs")
        folder = registry.files("discs", number)
        shutil.copytree(registry.files("discs", 1), folder)
        weights = folder / "model" / "model.safetensors"
        weights.write_text(f"weights {number}")
        files = record.version(1).files | {"model/model.safetensors": file_sha256(weights)}
        version = record.version(1).model_copy(
            update={"number": number, "identity": f"md5 of {number}", "files": files}
        )
        registry.write(record.with_version(version))
        put_into_service(project.root, "discs", number, "promoted", "a test")


def naslora(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def served_weights(project) -> bytes:
    return (project.root / "serving" / "discs" / "model.safetensors").read_bytes()


def test_a_model_records_what_it_was_made_from(project):
    version = ModelRegistry(project.root).read("discs").version(1)
    lock = DvcLock(project.root).stage("merge", "discs")
    assert lock is not None
    assert version.identity == lock.outs["artifacts/merge/discs/model.safetensors"]
    assert version.data["pairs"] == {"train": 10, "validation": 3, "test": 3}
    assert version.data["data.dvc"].endswith(".dir")
    params = load_params(project.root / "params.yaml")
    assert version.params["train"] == params.train.model_dump(mode="json")
    assert version.base["sha256"] == "0" * 64
    assert (version.seeds, version.code, version.certificate["mode"]) == ([7], "unknown", "fold")


def test_rollback_restores_step_by_step_without_training(project):
    first = served_weights(project)
    improve(project, 2, 3)
    assert served_weights(project) == b"weights 3"
    assert "In service for discs: version 2" in naslora("models", "rollback", "discs")
    naslora("models", "rollback", "discs", "--reason", "blurred edges")
    assert served_weights(project) == first
    with pytest.raises(ConfigError, match="no model in service before version 1"):
        CliRunner().invoke(app, ["models", "rollback", "discs"], catch_exceptions=False)
    assert project.executed() == []
    assert "version 1 rolled back: blurred edges" in naslora("models", "show", "discs", "3")
    assert "* discs 1" in re.sub(r" +", " ", naslora("models", "list"))


def test_a_person_overrules_the_comparison_and_no_run_overrules_the_person(project):
    improve(project, 2)
    naslora("models", "promote", "discs", "1", "--reason", "other camera")
    before = project.snapshot("serving")
    outcome = reproduce(Request(project.root, (), False, 5, lambda line: None, silent))
    assert (outcome.decisions, outcome.restored) == ((), ())
    assert project.snapshot("serving") == before


def test_an_unknown_version_is_answered_with_the_known_ones(project):
    with pytest.raises(ConfigError, match="'discs' has no version 7; known: 1"):
        put_into_service(project.root, "discs", 7, "promoted", "test")
    with pytest.raises(ConfigError, match="version 1 of 'discs' is in service already"):
        put_into_service(project.root, "discs", 1, "promoted", "test")


def test_damaged_files_never_serve(project):
    improve(project, 2)
    before = project.snapshot("serving", "registry/discs.json")
    weights = ModelRegistry(project.root).files("discs", 1) / "model" / "model.safetensors"
    weights.write_bytes(b"half")
    with pytest.raises(PipelineError, match=r"damaged; fetch it with: naslora models pull discs --version 1"):
        put_into_service(project.root, "discs", 1, "rolled back", "test")
    assert project.snapshot("serving", "registry/discs.json") == before


def test_a_copy_that_fails_leaves_the_model_in_service_and_is_made_up_for(project, monkeypatch):
    improve(project, 2)
    before = project.snapshot("serving")
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.models.promote.shutil.copy2", _disk_full)
        with pytest.raises(OSError, match="No space"):
            put_into_service(project.root, "discs", 1, "rolled back", "test")
    assert project.snapshot("serving") == before
    assert sorted(path.name for path in (project.root / "serving").iterdir()) == ["discs", "squares"]
    assert restore(project.root, "discs")
    assert not restore(project.root, "discs")
    assert project.snapshot("serving") != before


def _disk_full(source, target):
    raise OSError(28, "No space left on device")


def test_a_record_with_a_conflict_is_named(project):
    path = project.root / "registry" / "discs.json"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    with pytest.raises(PipelineError, match=r"registry/discs\.json has git's marks of a conflict"):
        ModelRegistry(project.root).read("discs")


def test_a_withdrawn_model_serves_no_more_and_the_one_before_can_come_back(project):
    improve(project, 2)
    assert withdraw(project.root, "discs", "all edges are shifted") == 2
    assert not (project.root / "serving" / "discs").exists()
    assert "version 2 withdrawn: all edges are shifted" in naslora("models", "show", "discs")
    with pytest.raises(ConfigError, match="no model in service; nothing to do"):
        withdraw(project.root, "discs", "again")
    naslora("models", "rollback", "discs")
    assert ModelRegistry(project.root).read("discs").serving == 1
    assert (project.root / "serving" / "discs").is_dir()


SLOW = [pytest.param(step, marks=pytest.mark.slow) for step in ("shutil.copy2", "ModelRegistry.write")]


@pytest.mark.parametrize("step", ["track", *SLOW])
def test_a_kill_while_a_model_is_registered_leaves_a_state_from_which_the_next_run_goes_on(project, monkeypatch, step):
    before = project.snapshot("serving", "registry/discs.json")
    project.score("discs", 0.6)
    request = Request(project.root, ("discs",), False, 5, lambda line: None, silent)
    with monkeypatch.context() as patch:
        patch.setattr(f"pipelines.models.promote.{step}", _killed)
        with pytest.raises(KeyboardInterrupt):
            reproduce(request)
    assert project.snapshot("serving", "registry/discs.json") == before
    (decision,) = reproduce(request).decisions
    assert (decision.version.number, decision.promoted) == (2, True)
    assert sorted(path.name for path in (project.root / "registry" / "discs").iterdir()) == ["1", "1.dvc", "2", "2.dvc"]
    project.executed()


def _killed(*arguments):
    raise KeyboardInterrupt


def test_going_back_further_follows_what_has_served(project):
    registry = ModelRegistry(project.root)
    improve(project, 2, 3)
    record = registry.read("discs")
    assert previous_in_service(record) == 2
    assert previous_in_service(record.decided("rolled back", 1, "").decided("promoted", 3, "")) == 1
    assert json.loads((project.root / "registry" / "discs.json").read_text())["serving"] == 3
    shutil.rmtree(registry.files("discs", 2))
    with pytest.raises(PipelineError, match="is not here; no registry/discs/2.dvc says where it is"):
        put_into_service(project.root, "discs", 2, "rolled back", "")


def test_programs_read_the_registry_as_json(project):
    def answer(*arguments: str):
        result = CliRunner().invoke(app, ["models", *arguments, "--json"])
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout)

    improve(project, 2)
    listed = answer("list")["discs"]
    assert (listed["serving"], [version["number"] for version in listed["versions"]]) == (2, [1, 2])
    shown = answer("show", "discs", "1")
    assert (shown["version"]["number"], shown["serving"]) == (1, 2)
    assert [event["action"] for event in shown["events"]] == ["promoted", "promoted"]
    assert answer("rollback", "discs")["serving"] == 1
    assert answer("promote", "discs", "2")["folder"] == str(project.root / "serving" / "discs")
