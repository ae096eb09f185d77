"""Files of DVC's own that were cut off while it wrote them."""

import fcntl

import pytest
from ruamel.yaml import YAML

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from pipelines.dvc.recover import recover


@pytest.mark.parametrize("table", ["", '{"write": {'])
def test_half_a_table_of_who_is_at_work_keeps_nobody_from_working(project, table):
    (project.root / ".dvc" / "tmp" / "rwlock").write_text(table)
    said: list[str] = []
    assert dvc.status(project.root, 0, said.append).stages == ()
    assert said == ["a dvc that was ended has left half a table of who is at work; it is removed"]


@pytest.mark.parametrize(
    ("file", "lock", "printed"),
    [
        (".dvc/tmp/rwlock", ".dvc/tmp/rwlock.lock", "Unable to read RWLock-file"),
        ("dvc.lock", ".dvc/tmp/lock", "'./dvc.lock' is invalid."),
    ],
)
def test_what_a_dvc_is_writing_is_left_alone(tmp_path, file, lock, printed):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / file).touch()
    with (tmp_path / lock).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert recover(tmp_path, printed, pytest.fail)
    assert (tmp_path / file).exists()
    assert recover(tmp_path, printed, print)
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize("kept", [0, pytest.param(15, marks=pytest.mark.slow)])
def test_what_half_a_dvc_lock_has_forgotten_comes_back_without_running_anything(project, kept):
    record = project.root / "dvc.lock"
    whole = record.read_text()
    stages = YAML(typ="safe").load(whole)
    record.write_text(whole[:kept])
    done = project.naslora("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dvc.lock was cut off" in done.stdout
    assert project.executed() == []
    assert YAML(typ="safe").load(record.read_text()) == stages
    assert (project.root / ".naslora" / "dvc.lock.damaged").read_text() == whole[:kept]


def test_a_conflict_in_dvc_lock_is_left_to_people(project):
    record = project.root / "dvc.lock"
    record.write_text(conflict := f"<<<<<<< HEAD\n{record.read_text()}=======\n>>>>>>> other\n")
    with pytest.raises(PipelineError, match="dvc status failed"):
        dvc.status(project.root, 0, pytest.fail)
    assert record.read_text() == conflict
