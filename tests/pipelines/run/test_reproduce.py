"""The pipeline from changed data to models in service, with real DVC on a small project."""

import shutil

import pytest
from PIL import Image

from naslora_core.errors import ConfigError, DataError, NasLoraError, PipelineError
from naslora_core.progress import silent
from pipelines.models.registry import ModelRegistry
from pipelines.run.reproduce import RunOutcome, reproduce
from pipelines.run.steps import Request

ALL_OF_DISCS = ["evaluate@discs", "merge@discs", "report", "search_train@discs", "validate@discs"]


def run(project, *domains: str, force: bool = False, said: list[str] | None = None) -> RunOutcome:
    say = (said if said is not None else []).append
    return reproduce(Request(project.root, domains, force, 5, say, silent))


def test_first_run_runs_every_stage_and_puts_models_into_service(finished_project):
    printed = (finished_project.root / "first_run.txt").read_text()
    for stage in ("validate", "merge", "evaluate"):
        for domain in ("discs", "squares"):
            assert f"{stage} · {domain}\n" in printed
    assert "report\n" in printed
    for domain in ("discs", "squares"):
        served = finished_project.root / "serving" / domain
        merged = finished_project.root / "artifacts" / "merge" / domain
        assert {path.name for path in served.iterdir()} == {
            "model.safetensors",
            "model.json",
            "certificate.json",
            "metrics.json",
            "measurements.parquet",
        }
        assert (served / "model.safetensors").read_bytes() == (merged / "model.safetensors").read_bytes()


def test_without_a_change_nothing_runs(project):
    outcome = run(project)
    assert project.executed() == []
    assert outcome.rerun == ()
    assert outcome.promoted == ()
    assert {row.domain for row in outcome.headline} == {"discs", "squares"}


def test_a_changed_image_reruns_its_domain_alone(project):
    before = project.snapshot("serving")
    project.score("discs", 0.6)
    outcome = run(project)
    assert project.executed() == ALL_OF_DISCS
    assert outcome.rerun == outcome.promoted == ("discs",)
    after = project.snapshot("serving")
    assert {path for path in after if after[path] != before[path]} == {
        "serving/discs/model.safetensors",
        "serving/discs/metrics.json",
        "serving/discs/measurements.parquet",
    }
    assert run(project).rerun == ()


def test_rejected_data_stops_before_dvc_commits_it(project):
    kept = ("artifacts", "serving", ".dvc/cache")
    before = project.snapshot(*kept)
    tracked = (project.root / "data.dvc").read_bytes()
    mask = project.root / "data" / "squares" / "masks" / "image_05.png"
    Image.open(mask).resize((20, 20)).save(mask)
    with pytest.raises(DataError, match=r"image_05\.png"):
        run(project)
    assert project.executed() == []
    assert (project.root / "data.dvc").read_bytes() == tracked
    assert project.snapshot(*kept) == before
    assert (project.root / ".naslora" / "gate" / "squares.csv").is_file()


def test_rejected_data_of_another_domain_stops_too_because_dvc_would_commit_it(project):
    (project.root / "data" / "squares" / "masks" / "image_05.png").unlink()
    project.touch_image("discs")
    with pytest.raises(DataError, match="image_05"):
        run(project, "discs")
    assert project.executed() == []


def test_a_worse_model_is_kept_out_of_service_and_not_tried_again(project):
    before = project.snapshot("serving")
    project.score("discs", 0.4)
    (decision,) = run(project).decisions
    assert not decision.promoted
    assert decision.reason == (
        "worse: Dice 0.410 against 0.510 of version 1 on the same 3 test images, difference -0.100 [-0.100, -0.100]"
    )
    assert project.snapshot("serving") == before
    assert run(project, force=True).decisions == ()
    assert project.snapshot("serving") == before


def test_a_domain_that_grew_starts_from_its_model_and_the_decision_says_what_that_saved(project):
    project.edit_params("retrain", warm_start=True)
    for kind in ("images", "masks"):
        folder = project.root / "data" / "discs" / kind
        Image.open(folder / "image_00.png").rotate(90).save(folder / "image_99.png")
    with (project.root / "data" / "discs" / "splits.csv").open("a") as splits:
        splits.write("image_99,train\n")
    (decision,) = run(project, "discs").decisions
    assert decision.version.training["warm_start"] == 1
    assert "started from version 1: 6 epochs in 12 s, where that took 20 epochs in 40 s" in str(decision)
    said: list[str] = []
    project.touch_image("discs")
    (decision,) = run(project, "discs", said=said).decisions
    assert decision.version.training["warm_start"] is None
    assert "discs: trained from the start, because 0 pairs are gone and 1 have changed" in said


def test_a_failed_domain_does_not_keep_the_others_from_their_models(project):
    project.score("discs", 0.6)
    project.score("squares", 0.6)
    code = (project.root / "stage.py").read_text()
    failing = 'if (stage, domain) == ("merge", "discs"):\n    sys.exit("error: no")\nif stage == "merge":'
    (project.root / "stage.py").write_text(code.replace('if stage == "merge":', failing))
    before = project.snapshot("serving/discs")
    with pytest.raises(PipelineError, match="merge · discs failed: no"):
        run(project)
    assert project.snapshot("serving/discs") == before
    assert ModelRegistry(project.root).read("squares").serving == 2


def test_a_named_domain_runs_alone_and_the_report_follows(project):
    project.score("discs", 0.6)
    project.touch_image("squares")
    outcome = run(project, "discs")
    assert project.executed() == ALL_OF_DISCS
    assert outcome.rerun == ("discs",)
    assert {row.domain for row in outcome.headline} == {"discs"}


def test_force_runs_what_has_not_changed(project):
    assert run(project, "squares", force=True).rerun == ("squares",)
    assert project.executed() == [name.replace("discs", "squares") for name in ALL_OF_DISCS]


def test_a_failed_stage_explains_itself_and_leaves_the_model_in_service(project):
    before = project.snapshot("serving")
    project.edit_params("merge", max_metric_drop=0.5)
    (project.root / "broken").touch()
    with pytest.raises(PipelineError, match=r"merge · discs failed: the loss became infinite.*\nlower train.lr"):
        run(project, "discs")
    assert project.snapshot("serving") == before
    (project.root / "broken").unlink()
    assert project.executed() == ["merge@discs"]
    assert run(project, "discs").rerun == ("discs",)
    # The new output equals the old one, so nothing after it had to run.
    assert project.executed() == ["merge@discs"]


def test_a_crashed_stage_is_told_in_one_line_and_written_to_the_log(project):
    project.edit_params("merge", max_metric_drop=0.5)
    (project.root / "crash").touch()
    with pytest.raises(PipelineError) as caught:
        run(project)
    assert "merge · discs failed: ZeroDivisionError: division by zero" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "Traceback" in (project.root / ".naslora" / "logs" / "evaluate@discs.log").read_text()


def test_a_lost_model_in_service_comes_back_without_a_run(project):
    (project.root / "serving" / "discs" / "model.safetensors").unlink()
    assert run(project).restored == ("discs",)
    assert project.executed() == []


def test_a_deleted_output_comes_back_from_the_cache_without_a_run(project):
    kept = project.snapshot("artifacts")
    (project.root / "artifacts" / "report" / "index.html").unlink()
    shutil.rmtree(project.root / "artifacts" / "merge" / "discs")
    outcome = run(project)
    assert outcome.rerun == outcome.missing == ()
    assert project.executed() == []
    assert project.snapshot("artifacts") == kept


def test_an_unknown_domain_is_answered_with_the_known_ones(project):
    with pytest.raises(ConfigError, match=r"unknown domain 'disks'; params.yaml lists discs, squares"):
        run(project, "disks")


def test_a_domain_without_data_is_named(project):
    project.edit_params("", domains=["discs", "squares", "stars"])
    with pytest.raises(DataError, match=r"lists domain 'stars', but data/stars/dataset.yaml is not there"):
        run(project)
    assert project.executed() == []


def test_data_that_was_not_fetched_is_told_with_the_command(project):
    (project.root / "data").rename(project.root / "elsewhere")
    with pytest.raises(DataError, match=r"dvc pull data\.dvc"):
        run(project)


def test_a_missing_base_model_is_told(project):
    (project.root / "models" / "base.safetensors").unlink()
    with pytest.raises(NasLoraError, match=r"models/base\.safetensors is not there"):
        run(project)
