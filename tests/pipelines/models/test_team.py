"""Models travel: what one checkout has put into service, another one fetches, serves, improves and gives back."""

import json
import re
import shutil

import pytest

from pipelines.models.registry import ModelRegistry

# Many programs, each of which loads DVC, on a shared machine.
pytestmark = pytest.mark.timeout(900)


def test_a_clone_pulls_and_finds_nothing_to_do_and_serves_the_same_bytes(first, clone):
    clone.shell("dvc pull")
    printed = clone.shell("naslora run")
    assert "Nothing has changed" in printed
    assert clone.executed() == []
    assert clone.snapshot("serving") == first.snapshot("serving")
    assert re.search(r"\* +discs +1 .* here\n", clone.shell("naslora models list"))
    assert clone.shell("git status --porcelain") == ""


def test_what_a_clone_lacks_is_told_with_the_command_that_fetches_it(clone):
    lacking = clone.shell("naslora run", fails=True)
    assert "not here yet: data, models/base.safetensors, the model of discs" in lacking
    command = lacking.strip().partition("fetch with: ")[2]
    assert command == "dvc pull data.dvc models/base.safetensors.dvc && naslora models pull"
    assert "to be pulled" in clone.shell("naslora models list")
    clone.shell(command)
    assert clone.served()
    shutil.rmtree(clone.root / "registry" / "discs" / "1")
    lacking = clone.shell("naslora run", fails=True)
    assert "version 1 of 'discs', which is in service, is not here; fetch it with: naslora models pull discs" in lacking
    assert "Fetched: discs 1" in clone.shell("naslora models pull discs")
    assert "Nothing has changed" in clone.shell("naslora run")
    assert clone.executed() == []


def test_data_of_before_a_git_pull_is_not_taken_for_a_change(first, clone):
    clone.shell("dvc pull data.dvc")
    (clone.root / "data" / "discs" / "note.txt").write_text("a colleague's")
    clone.shell("dvc add data")
    clone.share("More data")
    first.shell("git pull --quiet")
    stopped = first.shell("naslora run", fails=True)
    assert "data.dvc names other data by now" in stopped
    assert first.executed() == []
    assert first.shell("git status --porcelain") == ""
    first.shell(stopped.partition("Fetch it with: ")[2].partition(". If")[0])
    assert (first.root / "data" / "discs" / "note.txt").is_file()


def test_an_edit_in_the_clone_is_compared_and_comes_back_to_the_first_checkout(team, first, clone):
    clone.shell("dvc pull")
    clone.score("discs", 0.6)
    assert "better: Dice 0.610 against 0.510 of version 1" in clone.shell("naslora run")
    clone.share("Better discs")
    first.shell("git pull --quiet && dvc pull --quiet")
    assert "Nothing has changed" in first.shell("naslora run")
    assert first.executed() == []
    assert first.served() == clone.served()
    # A version that is only on the remote is fetched before a rollback.
    late = team.clone("late")
    late.shell("naslora models pull discs --version 2")
    refused = late.shell("naslora models rollback discs", fails=True)
    command = refused.strip().partition("fetch it with: ")[2]
    assert command == "naslora models pull discs --version 1"
    late.shell(f"{command} && naslora models rollback discs")
    assert ModelRegistry(late.root).read("discs").serving == 1


@pytest.mark.slow
def test_a_model_that_nobody_has_sent_is_withdrawn_and_made_again(team, first, clone):
    first.score("discs", 0.6)
    first.shell("naslora run")
    first.shell("git add . && git commit --quiet -m 'Better discs' && git push --quiet && dvc push --quiet data.dvc")
    clone.shell("git pull --quiet && dvc pull data.dvc models/base.safetensors.dvc")
    lacking = clone.shell("naslora run", fails=True)
    assert "naslora models pull discs" in lacking
    lost = clone.shell("naslora models pull discs", fails=True)
    assert "the default remote does not have it; in the checkout that has its files: naslora models push discs" in lost
    withdrawn = clone.shell("naslora models withdraw discs --reason lost")
    assert "Out of service for discs: version 2" in withdrawn
    assert not (clone.root / "registry" / "discs" / "2.dvc").exists()
    clone.shell("naslora run --domain discs --force")
    record = ModelRegistry(clone.root).read("discs")
    assert record.serving == 3
    assert record.events[-1].reason == "no model is in service to compare it with"
    # Or its owner sends it after all.
    first.shell("naslora models push discs")
    late = team.clone("late")
    late.shell("naslora models pull discs")
    assert late.served() == first.served()


@pytest.mark.slow
def test_a_model_of_an_older_release_is_given_a_pointer_by_the_checkout_that_has_it(team, first):
    first.shell("git rm --quiet registry/discs/1.dvc && git commit --quiet -m 'As before' && git push --quiet")
    clone = team.clone("late")
    clone.shell("dvc pull")
    told = clone.shell("naslora run", fails=True)
    assert "no registry/discs/1.dvc says where it is; in the checkout that has its files: naslora models push" in told
    pushed = first.shell("naslora models push discs")
    assert "discs 1" in pushed
    (command,) = re.findall(r"Next: (git add .*) && git commit && git push", pushed)
    first.shell(f"{command} && git commit --quiet -m 'Models' && git push --quiet")
    clone.shell("git pull --quiet && naslora models pull discs")
    assert clone.served() == first.served()


@pytest.mark.slow
def test_a_model_that_was_never_registered_is_not_lost_sight_of(first, clone):
    first.score("discs", 0.6)
    first.shell("dvc repro evaluate@discs")
    first.share("By hand")
    clone.shell("git pull --quiet && dvc pull")
    told = clone.shell("naslora run --domain discs", fails=True)
    assert "fetch it with: naslora results pull --domain discs" in told


def test_programs_read_what_was_fetched(clone):
    printed = json.loads(clone.shell("naslora models pull --json 2>/dev/null"))
    assert printed["fetched"] == [{"domain": "discs", "version": 1}]
    assert printed["restored"] == ["discs"]
    assert json.loads(clone.shell("naslora models list --json 2>/dev/null"))["discs"]["files"] == {"1": "here"}


@pytest.mark.slow
def test_a_folder_without_git_fetches_models_too(clone):
    shutil.rmtree(clone.root / ".git")
    advice = re.findall(r"→ (dvc pull .*)", clone.shell("naslora doctor", fails=True))
    assert advice == ["dvc pull models/base.safetensors.dvc", "dvc pull data.dvc"]
    clone.shell(advice[0])
    assert "the folder is in no git repository" in clone.shell("naslora models pull")
    assert clone.served()
