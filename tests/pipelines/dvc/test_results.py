"""Results travel between checkouts through a DVC remote: real DVC, and two stages that take no time."""

import shutil
import subprocess
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.dvc.command import environment
from pipelines.dvc.results import find_results, pull_results, push_results
from stages.run_cache import keep_result
from tests.fixtures.preloaded import fast_python

REPOSITORY = Path(__file__).parents[3]
STAGE = """
import pathlib, sys
from stages.run_cache import keep_result
_, stage, source = sys.argv
with open("ran", "a") as record:
    record.write(stage + "\\n")
out = pathlib.Path(stage)
out.mkdir(exist_ok=True)
(out / "number.txt").write_text(pathlib.Path(source).read_text() + stage)
(out / "more").mkdir(exist_ok=True)
(out / "more" / "table.csv").write_text(stage)
keep_result(lambda done, total, message: print(message))
"""
DVC_YAML = """
stages:
  train:
    matrix: {domain: [discs]}
    cmd: python stage.py train in.txt
    deps: [in.txt]
    outs: [train/number.txt: {cache: false}, train/more: {cache: false}]
  evaluate:
    matrix: {domain: [discs]}
    cmd: python stage.py evaluate train/number.txt
    deps: [train/number.txt]
    outs: [evaluate/more: {cache: false}]
    metrics: [evaluate/number.txt: {cache: false}]
"""
STAGES = ("train@discs", "evaluate@discs")
TARGET = STAGES[1]


def dvc(root: Path, *words: str) -> str:
    env = environment() | {"PYTHONPATH": str(REPOSITORY)}
    command = [fast_python(), "-m", "dvc", *words]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ran(root: Path) -> list[str]:
    """The stages that have run since the last call."""
    record = root / "ran"
    stages = record.read_text().split() if record.exists() else []
    record.unlink(missing_ok=True)
    return stages


@pytest.fixture(scope="module")
def both_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run on 1 and on 2; do not change it."""
    root = tmp_path_factory.mktemp("results") / "first"
    root.mkdir()
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    dvc(root, "init", "--no-scm", "--quiet")
    dvc(root, "remote", "add", "--quiet", "--default", "store", "../store")
    for number in (1, 2):
        (root / "in.txt").write_text(str(number))
        said = dvc(root, "repro")
        assert "not kept" not in said, "DVC has changed: the stages' results are not in its run cache any more"
    assert ran(root) == ["train", "evaluate"] * 2
    return root


@pytest.fixture
def first(both_runs: Path, tmp_path: Path) -> Path:
    """A copy of that project, with a remote of its own."""
    shutil.copytree(both_runs, tmp_path / "first")
    return tmp_path / "first"


@pytest.fixture
def clone(first: Path) -> Path:
    """What git would hold of it, in another folder beside the same remote."""
    root = first.parent / "second"
    root.mkdir()
    for name in ("stage.py", "dvc.yaml", "dvc.lock", "in.txt"):
        shutil.copy(first / name, root / name)
    dvc(root, "init", "--no-scm", "--quiet")
    shutil.copy(first / ".dvc" / "config", root / ".dvc" / "config")
    return root


def test_every_result_is_sent_with_its_files_and_only_once(first):
    pushed = push_results(first)
    assert (pushed.remote, pushed.results, pushed.there, pushed.incomplete, pushed.unkept) == ("store", 4, 0, 0, ())
    # Two numbers by each stage, a table by each, and the lists of the two folders, which are the same in both runs.
    assert pushed.files == 8
    again = push_results(first)
    assert (again.results, again.files, again.there) == (0, 0, 4)


def test_a_clone_takes_results_of_earlier_inputs_and_runs_nothing(first, clone):
    push_results(first)
    (clone / "in.txt").write_text("1")
    said: list[str] = []
    assert find_results(clone, TARGET, said.append) == ""
    assert said == ["computed before, fetched from remote 'store': train@discs, evaluate@discs"]
    dvc(clone, "repro")
    assert ran(clone) == []
    assert (clone / "evaluate" / "number.txt").read_text() == "1trainevaluate"
    assert find_results(clone, TARGET, said.append) == ""
    assert len(said) == 1


def test_a_stage_that_nobody_has_run_is_named_and_nothing_fetched(first, clone):
    push_results(first)
    (clone / "in.txt").write_text("3")
    said: list[str] = []
    assert find_results(clone, TARGET, said.append) == "train@discs"
    assert said == []


def test_pull_puts_what_the_lock_records_into_place_without_running_it(first, clone):
    push_results(first)
    pulled = pull_results(clone)
    assert (pulled.results, pulled.restored, pulled.lost, pulled.differing) == (4, STAGES, (), ())
    assert "up to date" in dvc(clone, "status")
    assert ran(clone) == []
    again = pull_results(clone)
    assert (again.results, again.files, again.restored) == (0, 0, ())


def test_pull_is_limited_to_a_domain(first, clone):
    push_results(first)
    assert pull_results(clone, domain="squares").restored == ()
    assert not (clone / "train").exists()


def test_pull_of_everything_makes_later_runs_independent_of_the_remote(first, clone):
    push_results(first)
    pull_results(clone, everything=True)
    shutil.rmtree(first.parent / "store")
    (clone / "in.txt").write_text("1")
    dvc(clone, "repro")
    assert ran(clone) == []


def test_outputs_of_another_run_are_left_alone(first, clone):
    push_results(first)
    (clone / "train").mkdir()
    (clone / "train" / "number.txt").write_text("mine")
    pulled = pull_results(clone)
    assert (pulled.restored, pulled.differing) == (("evaluate@discs",), ("train@discs",))
    assert (clone / "train" / "number.txt").read_text() == "mine"
    assert not (clone / "train" / "more").exists()


def test_what_the_remote_has_lost_is_named_and_computed_again(first, clone):
    push_results(first)
    shutil.rmtree(first.parent / "store" / "files")
    assert pull_results(clone).lost == STAGES
    said: list[str] = []
    find_results(clone, TARGET, said.append)
    assert len(said) == 1
    assert "neither in the cache here nor on remote 'store'" in said[0]
    assert "train@discs, evaluate@discs" in said[0]
    dvc(clone, "repro")
    assert ran(clone) == ["train", "evaluate"]


def test_files_that_a_remote_has_lost_are_sent_again_where_old_results_are_checked(first, clone):
    push_results(first)
    shutil.rmtree(first.parent / "store" / "files")
    assert push_results(first).files == 6
    assert push_results(first, check_all=True).files == 2


def test_results_that_dvc_gc_has_removed_are_counted_and_not_sent(first):
    dvc(first, "gc", "--workspace", "--force", "--quiet")
    pushed = push_results(first)
    assert (pushed.results, pushed.incomplete, pushed.unkept) == (0, 4, STAGES)
    assert not (first.parent / "store" / "runs").exists()


def test_no_entry_is_on_a_remote_that_could_not_take_its_files(first):
    (first.parent / "store").mkdir()
    (first.parent / "store" / "files").write_text("in the way")
    with pytest.raises(PipelineError, match=r"remote 'store'|pushing results failed"):
        push_results(first)
    assert not (first.parent / "store" / "runs").exists()


def test_what_a_killed_process_left_of_an_entry_is_no_entry(first, clone):
    push_results(first)
    entry = next((first.parent / "store" / "runs").glob("*/*/*"))
    entry.with_name(".unfinished.tmp").write_text("cmd: python")
    assert pull_results(clone).results == 4


@pytest.mark.parametrize(
    ("remote", "url", "says"),
    [
        ("", "", "no default DVC remote"),
        ("gone", "", "there is no DVC remote 'gone'; remotes: none"),
        ("store", "https://127.0.0.1:9/x", "an HTTP server cannot list"),
        ("store", "s3://bucket/x", "remote 'store' cannot be used for results"),
        ("store", "../../first/in.txt/x", "and none can be made"),
    ],
)
def test_a_remote_that_cannot_be_used_is_one_line_of_a_run_and_an_error_of_push_and_pull(clone, remote, url, says):
    lines = ["[core]", "no_scm = true", f"remote = {remote}" if remote else ""]
    lines += [f"['remote \"{remote}\"']", f"url = {url}"] if url else []
    (clone / ".dvc" / "config").write_text("\n".join(lines))
    said: list[str] = []
    for _ in range(2):
        assert find_results(clone, TARGET, said.append) == ""
    assert [says in line for line in said].count(True) == 1, said
    with pytest.raises(PipelineError, match=says):
        push_results(clone)
    with pytest.raises(PipelineError, match=says):
        pull_results(clone)


def test_a_result_that_cannot_be_kept_is_no_failure_of_its_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@discs")
    said: list[str] = []
    keep_result(lambda done, total, message: said.append(message))
    assert len(said) == 1
    assert said[0].startswith("not kept in DVC's run cache")


def test_of_several_processes_the_first_alone_keeps_the_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@discs")
    monkeypatch.setenv("RANK", "1")
    keep_result(lambda done, total, message: pytest.fail(message))
