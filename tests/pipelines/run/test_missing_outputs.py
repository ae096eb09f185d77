"""What a run makes of outputs that are not there, or not those of dvc.lock, with real DVC; and when it asks DVC."""

import os
import shutil

import pytest

from naslora_core.progress import silent
from naslora_core.report.headline import Interval
from pipelines.dvc import command
from pipelines.run import unchanged
from pipelines.run.reproduce import RunOutcome, reproduce
from pipelines.run.steps import Request


def run(project, said: list[str] | None = None) -> RunOutcome:
    say = (said if said is not None else []).append
    return reproduce(Request(project.root, (), False, 5, say, silent))


def keep_what_git_holds(project) -> None:
    """Leave of artifacts/ what a clone has."""
    for path in sorted((project.root / "artifacts").rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path.name != "metrics.json":
            path.unlink()


def test_with_nothing_changed_dvc_is_asked_once(project, monkeypatch):
    assert run(project).rerun == ()
    monkeypatch.setattr(command, "_run", lambda *_: 1 / 0)
    monkeypatch.setattr(command, "_follow", lambda *_: 1 / 0)
    said: list[str] = []
    assert run(project, said).rerun == ()
    assert said[-1] == "changed: nothing"


def test_a_clone_trains_nothing_and_has_its_scores_from_git(project):
    keep_what_git_holds(project)
    shutil.rmtree(project.root / ".dvc" / "cache" / "files" / "md5")
    (project.root / ".dvc" / "cache" / "files" / "md5").mkdir()
    shutil.rmtree(project.root / "serving")
    for _ in range(2):
        outcome = run(project)
        assert outcome.rerun == outcome.decisions == ()
        assert project.executed() == []
        assert {"merge@discs", "merge@squares", "report"} <= set(outcome.missing)
        assert outcome.headline[0].scores["dice"].mean == 0.5
        assert not isinstance(outcome.headline[0].scores["dice"], Interval)
    assert (project.root / "serving" / "discs" / "model.safetensors").is_file()
    printed = project.naslora("run").stdout
    assert "Nothing has changed" in printed
    assert "results of discs, squares; the report\n  fetch them: naslora results pull" in printed
    # A change of one domain runs that domain; the page waits for the others.
    project.touch_image("discs")
    said: list[str] = []
    outcome = run(project, said)
    assert outcome.rerun == ("discs",)
    assert "report" not in project.executed()
    assert "no report yet: results of squares are not here; fetch them: naslora results pull" in said


@pytest.mark.slow
def test_results_of_another_commit_give_way_to_those_of_dvc_lock(project):
    kept = ("artifacts/search_train", "artifacts/merge", "artifacts/evaluate", "artifacts/report")
    before = project.snapshot(*kept)
    shutil.copytree(project.root / "data", project.root / "data_before", copy_function=shutil.copy2)
    records = {name: (project.root / name).read_bytes() for name in ("dvc.lock", "data.dvc")}
    project.score("discs", 0.6)
    run(project)
    assert project.snapshot(*kept) != before
    project.executed()
    # As git checkout and dvc checkout do.
    shutil.rmtree(project.root / "data")
    (project.root / "data_before").rename(project.root / "data")
    for name, content in records.items():
        (project.root / name).write_bytes(content)
    assert run(project).rerun == ()
    assert project.executed() == []
    assert project.snapshot(*kept) == before


def test_a_change_behind_size_and_time_of_a_file_is_found(project):
    run(project)
    card = project.root / "data" / "discs" / "dataset.yaml"
    seen = card.stat()
    card.write_text(card.read_text().replace("discs on grey", "discs on gold"))
    os.utime(card, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert command.status(project.root, 5, print).stages == ()
    assert unchanged.recall(project.root) is None
    assert unchanged.look_again(project.root, print)
    assert command.status(project.root, 5, print).domains == ("discs",)


def test_what_is_left_of_a_removed_domain_goes(project):
    (project.root / "artifacts" / "evaluate" / "mine").mkdir()
    project.edit_params("", domains=["discs"])
    said: list[str] = []
    assert run(project, said).rerun == ("report",)
    assert "removed from artifacts/, as params.yaml no longer lists them: squares" in said
    assert not list((project.root / "artifacts").glob("*/squares"))
    assert (project.root / "artifacts" / "evaluate" / "mine").is_dir()
    assert project.executed() == ["report"]
    # What was removed comes back without a training, too.
    project.edit_params("", domains=["discs", "squares"])
    run(project)
    assert project.executed() == []
    assert (project.root / "artifacts" / "merge" / "squares" / "model.safetensors").is_file()
