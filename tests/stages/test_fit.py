"""A stage whose inputs were made with other settings is refused before it begins, and says how to make them."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from naslora_core.config import load_params
from naslora_core.files import write_json
from naslora_core.progress import silent
from stages import evaluate, merge, preprocess, search_train, validate
from stages.fit.comparison import made_otherwise
from stages.paths import StagePaths
from stages.runner import run_stage
from tests.stages.drawn import DOMAIN, draw_project

MAINS = {"validate": validate.main, "preprocess": preprocess.main}
# Of a cheap training, and an order of keys that is not that of the file.
CHEAP = ["adapter.method=lora", "adapter.rank=2", "search.budget=none", "search.space=linear", "train.epochs=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project of whose stages all but the report have run, with params.yaml as they were given it."""
    root = tmp_path_factory.mktemp("fit")
    params = load_params(root / "params.yaml", [*draw_project(root), *CHEAP])
    write_json(root / "params.yaml", params.model_dump(mode="json"))
    paths = StagePaths(root)
    for stage in (validate, preprocess, search_train, merge):
        stage.main(DOMAIN, params, paths, silent)
    evaluate.main(DOMAIN, params, paths, silent, pictures=False)
    return root


@pytest.fixture
def project(finished, tmp_path, monkeypatch) -> Path:
    """A copy of it to change, which is the working folder."""
    shutil.copytree(finished, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Path()


@pytest.fixture
def _here(finished, monkeypatch):
    monkeypatch.chdir(finished)


def begins(stage, *settings, run="trial") -> bool:
    """Start a stage that does nothing; returns whether it began."""
    began = []
    domain = [] if stage == "report" else ["--domain", DOMAIN]
    given = [part for setting in settings for part in ("--set", setting)]
    run_stage(
        lambda *_: began.append(stage),
        needs_domain=bool(domain),
        arguments=[*domain, *(["--run", run] if run else []), *given],
        stage=stage,
    )
    return bool(began)


def refusal(capsys, stage, *settings, run="trial") -> str:
    with pytest.raises(SystemExit) as caught:
        begins(stage, *settings, run=run)
    assert caught.value.code == 1
    return capsys.readouterr().err


SIZE, NAME = "model.image_size=128", "model.name=vit_b"


@pytest.mark.parametrize(
    ("stage", "setting", "said", "file", "first"),
    [
        ("preprocess", SIZE, "model.image_size is 128", "scale/widths.json was made with 256", "validate"),
        ("search_train", SIZE, "model.image_size is 128", "manifest.json was made with 256", "validate"),
        ("search_train", NAME, "native, which is 1024 for vit_b", "manifest.json was made with 256", "validate"),
        ("search_train", "train.view=crops", "train.view is crops", "manifest.json was made with whole", "preprocess"),
        ("search_train", "quality.min_pairs=3", "min_pairs is 3", "verdict.json was made with 12", "validate"),
        ("merge", SIZE, "model.image_size is 128", "manifest.json was made with 256", "validate"),
        ("merge", NAME, "model.name is vit_b", "adapter.json was made with sam_tiny", "validate"),
        ("merge", "adapter.rank=16", "adapter.rank is 16", "adapter.json was made with 2", "search-train"),
        ("merge", "search.nodes=2", "search.nodes is 2", "adapter.json was made with 1", "search-train"),
        ("merge", "train.lr=0.5", "train.lr is 0.5", "adapter.json was made with 0.004", "search-train"),
        ("merge", "seed=3", "seed is 3", "adapter.json was made with 7", "search-train"),
        ("evaluate", SIZE, "model.image_size is 128", "adapter.json was made with 256", "validate"),
        ("evaluate", NAME, "model.name is vit_b", "adapter.json was made with sam_tiny", "validate"),
        ("evaluate", "merge.mode=fold", "merge.mode is fold", "certificate.json was made with auto", "merge"),
        ("report", "adapter.method=none", "method is none", "adapter.json was made with lora", "search-train"),
        ("report", "evaluate.flips=all", "flips is all", "summary.json was made with none", "evaluate"),
        ("report", "quality.min_pairs=3", "min_pairs is 3", "verdict.json was made with 12", "validate"),
    ],
)
@pytest.mark.usefixtures("_here")
def test_a_setting_that_inherited_inputs_contradict_is_refused(capsys, stage, setting, said, file, first):
    message = refusal(capsys, stage, setting)
    assert said in message
    assert file in message
    assert f": naslora stage {first} --domain {DOMAIN} --run trial --set {setting}" in message


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("validate", [SIZE]),
        ("preprocess", ["train.view=crops"]),
        ("search_train", ["train.epochs=9", "adapter.rank=4", "seed=1", "model.precision=fp32"]),
        ("search_train", ["model.gradient_checkpointing=true", "train.batch_size=2", "train.scale=2.0"]),
        ("merge", ["merge.mode=fold", "merge.max_metric_drop=0.5", "evaluate.flips=all"]),
        ("evaluate", ["evaluate.threshold=auto", "evaluate.flips=all", "seed=3", "model.precision=fp32"]),
        ("report", ["retrain.max_drop=0.1"]),
        # The same again, and the same in other words.
        ("merge", CHEAP),
        ("merge", ["model.image_size=256"]),
        ("report", CHEAP),
        ("merge", ["train.view=auto", "train.detail=auto", "train.loss=auto"]),
        ("merge", ["train.view=whole"]),
    ],
)
@pytest.mark.usefixtures("_here")
def test_settings_that_no_input_contradicts_are_a_stages_own(stage, settings):
    if stage == "validate":
        assert begins("", *settings)
    else:
        assert begins(stage, *settings)


def test_the_commands_that_are_named_prepare_the_inputs(capsys, project):
    named = refusal(capsys, "search_train", SIZE).partition("inputs of search-train: ")[2].splitlines()[0]
    commands = [shlex.split(command) for command in named.split(" && ")]
    assert [command[2] for command in commands] == ["validate", "preprocess"]
    for _, _, stage, *arguments in commands:
        run_stage(MAINS[stage], arguments=arguments, stage="" if stage == "validate" else stage)
    assert begins("search_train", SIZE)
    # Of this trial they are what a stage finds, so that params.yaml is what contradicts them.
    assert "model.image_size is native, which is 256 for sam_tiny" in refusal(capsys, "search_train")


def test_what_is_there_is_named_as_settings_with_which_the_stage_begins(capsys, project):
    kept = refusal(capsys, "merge", NAME, SIZE).partition("what is there: ")[2].split()
    assert begins("merge", *kept[1::2])


def test_an_edited_params_yaml_is_refused_with_the_command_for_the_pipeline(capsys, project):
    edit(project / "params.yaml", lambda content: content["model"].update(image_size=128))
    message = refusal(capsys, "search_train", run=None)
    assert f"To make it anew: naslora run --domain {DOMAIN}; or write model.image_size=256 into params.yaml" in message


def test_a_trials_next_stage_need_not_repeat_what_only_an_earlier_one_works_with(project):
    edit(project / "params.yaml", lambda content: content["adapter"].update(rank=8))
    assert begins("merge")


def test_auto_means_what_the_gate_suggests_when_the_view_is_compared(capsys, project):
    edit(project / "params.yaml", lambda content: content["train"].update(view="auto"))
    assert begins("search_train")
    assert begins("merge")
    edit(project / "artifacts" / "validate" / DOMAIN / "view.json", lambda content: content.update(view="crops"))
    assert "train.view is auto, which is crops, but" in refusal(capsys, "search_train")


def test_a_changed_card_asks_for_all_stages_again(capsys, project):
    card = project / "data" / DOMAIN / "dataset.yaml"
    card.write_text(card.read_text().replace("- lesion\n", "- blight\n"))
    for stage in ("merge", "evaluate"):
        message = refusal(capsys, stage)
        assert f'classes is ["blight"] in data/{DOMAIN}/dataset.yaml' in message
        assert 'adapter.json was made with ["lesion"]' in message
        assert f"naslora stage validate --domain {DOMAIN} --run trial && naslora stage preprocess" in message


def test_a_merged_model_of_another_adapter_is_not_evaluated_with_it(capsys, project):
    trained = project / "runs" / "trial" / "search_train" / DOMAIN
    shutil.copytree(project / "artifacts" / "search_train" / DOMAIN, trained)
    assert begins("evaluate")
    edit(trained / "adapter.json", lambda content: content["train"].update(epochs=30))
    message = refusal(capsys, "evaluate")
    assert f"model.json was made of another adapter than runs/trial/search_train/{DOMAIN}/adapter.json" in message
    assert (
        f"differ in train.epochs. To merge that adapter: naslora stage merge --domain {DOMAIN} --run trial" in message
    )


def test_a_training_does_not_go_on_from_an_adapter_of_other_settings(capsys, project):
    warm = project / ".naslora" / "warm" / DOMAIN
    shutil.copytree(project / "artifacts" / "search_train" / DOMAIN, warm)
    assert begins("search_train", "train.lr=0.1")
    message = refusal(capsys, "search_train", "adapter.rank=4")
    assert f"adapter.rank is 4, not 2. Delete .naslora/warm/{DOMAIN} to train from the start" in message


def test_what_earlier_versions_did_not_record_is_not_compared(project):
    made = project / "artifacts"
    edit(
        made / "search_train" / DOMAIN / "adapter.json",
        lambda content: [content.pop("train"), content.pop("class_names")],
    )
    edit(made / "merge" / DOMAIN / "model.json", lambda content: content.update(origin={}))
    edit(made / "merge" / DOMAIN / "certificate.json", lambda content: content.pop("merge"))
    edit(made / "evaluate" / DOMAIN / "summary.json", lambda content: content.pop("evaluate"))
    edit(made / "validate" / DOMAIN / "verdict.json", lambda content: content.pop("quality"))
    assert begins("merge", "train.epochs=9")
    assert begins("evaluate", "merge.mode=fold")
    assert begins("report", "evaluate.flips=all", "quality.min_pairs=3")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"recipe": 1, "base": [], "origin": 2, "input_px": null}', None])
def test_files_that_cannot_be_read_are_left_to_the_stage(project, content):
    for file in ("validate/{}/scale/widths.json", "preprocess/{}/manifest.json", "search_train/{}/adapter.json",
                 "merge/{}/model.json"):  # fmt: skip
        path = project / "artifacts" / file.format(DOMAIN)
        path.unlink()
        if content is None:
            path.mkdir()
        else:
            path.write_text(content)
    for stage in ("preprocess", "search_train", "merge", "evaluate", "report"):
        assert begins(stage)


def test_the_report_knows_which_results_were_made_with_other_settings(project):
    params = load_params(project / "params.yaml")
    assert made_otherwise(params, StagePaths(project)) == {}
    trained = project / "runs" / "trial" / "search_train" / DOMAIN
    shutil.copytree(project / "artifacts" / "search_train" / DOMAIN, trained)
    edit(trained / "adapter.json", lambda content: content["adapter"].update(rank=4))
    assert made_otherwise(params, StagePaths(project, "trial")) == {"adapter.rank": {DOMAIN: 4}}


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
