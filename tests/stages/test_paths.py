"""Where stages read and write, in the pipeline and in a trial beside it."""

from pathlib import Path

import pytest

from naslora_core.errors import ConfigError, PipelineError
from stages.paths import StagePaths


def test_the_pipeline_writes_artifacts_and_a_trial_writes_runs():
    assert StagePaths(Path("p")).output("merge", "leaf") == Path("p/artifacts/merge/leaf")
    assert StagePaths(Path("p"), "lr3").output("merge", "leaf") == Path("p/runs/lr3/merge/leaf")
    assert StagePaths(Path("p")).output("report") == Path("p/artifacts/report")


def test_a_trial_reads_its_own_outputs_before_those_of_the_pipeline(tmp_path):
    trial = StagePaths(tmp_path, "lr3")
    (tmp_path / "artifacts/merge/leaf").mkdir(parents=True)
    assert trial.source("merge", "leaf") == tmp_path / "artifacts/merge/leaf"
    (tmp_path / "runs/lr3/merge/leaf").mkdir(parents=True)
    assert trial.source("merge", "leaf") == tmp_path / "runs/lr3/merge/leaf"
    assert StagePaths(tmp_path).source("merge", "leaf") == tmp_path / "artifacts/merge/leaf"


def test_an_input_that_no_stage_has_written_is_told_with_the_command(tmp_path):
    with pytest.raises(PipelineError, match="stage 'merge' has not run for domain 'leaf'.*--domain leaf"):
        StagePaths(tmp_path, "lr3").source("merge", "leaf")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_a_run_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(ConfigError, match="cannot name a run"):
        StagePaths(Path(), name)


def test_domains_are_the_folders_with_a_card(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "dataset.yaml").touch()
    (tmp_path / "data" / "empty").mkdir()
    assert StagePaths(tmp_path).domains() == ["a", "b"]
