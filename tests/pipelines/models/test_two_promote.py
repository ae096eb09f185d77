"""Two checkouts put a model into service at the same time: one wins by its push, the other is told what to type."""

import pytest

from pipelines.models.registry import ModelRegistry

# Many programs, each of which loads DVC, on a shared machine.
pytestmark = pytest.mark.timeout(900)


def both_promote(first, clone) -> None:
    """Let both train another model; the first one pushes."""
    clone.shell("dvc pull")
    first.edit_params("train", epochs=13)
    first.shell("naslora run")
    first.share("Thirteen epochs")
    clone.score("discs", 0.7)
    clone.shell("naslora run && git add . && git commit --quiet -m 'More light'")


@pytest.mark.slow
@pytest.mark.parametrize("pull", ["git pull --no-rebase", "git pull --rebase"], ids=["merge", "rebase"])
def test_the_second_one_is_told_and_its_model_is_compared_with_the_winner(first, clone, commands, pull):
    both_promote(first, clone)
    clone.executed()
    clone.shell("git push", fails=True)
    clone.shell(pull, fails=True)
    for command in ("naslora models list", "naslora models pull", "naslora results pull", "naslora results push"):
        assert "in conflict, because another checkout has changed them" in clone.shell(command, fails=True)
    assert "✗ conflict" in clone.shell("naslora doctor", fails=True)
    told = clone.shell("naslora run", fails=True)
    for command in commands(told):
        clone.shell(command)
    record = ModelRegistry(clone.root).read("discs")
    assert [version.number for version in record.versions] == [1, 2, 3]
    assert record.events[1].version == 2
    assert "of version 2 on the same" in record.events[2].reason
    assert record.version(3).params["train"]["epochs"] == 13
    clone.share("More light, after thirteen epochs")
    first.shell("git pull --quiet && naslora models pull")
    assert first.served() == clone.served()


def test_marks_of_a_conflict_outside_a_merge_are_told_too(clone):
    path = clone.root / "registry" / "discs.json"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    told = clone.shell("naslora run", fails=True)
    command = told.strip().partition("correct it, or: ")[2]
    assert command == "git checkout HEAD -- registry/discs.json"
    clone.shell(command)
    assert "discs" in clone.shell("naslora models list")


@pytest.mark.slow
def test_what_a_person_has_to_decide_is_named_apart(first, clone, commands):
    clone.shell("dvc pull")
    for checkout, epochs in ((first, 13), (clone, 14)):
        checkout.edit_params("train", epochs=epochs)
        checkout.shell("naslora run")
        if checkout is first:
            first.share("Thirteen epochs")
    clone.shell("git add . && git commit --quiet -m 'Fourteen epochs'")
    clone.executed()
    clone.shell("git pull --no-rebase", fails=True)
    told = clone.shell("naslora run", fails=True)
    assert "Correct params.yaml yourself, then" in told
    clone.shell("git checkout --ours -- params.yaml")
    for command in commands(told):
        clone.shell(command)
    # What it has computed is taken from DVC's run cache.
    assert clone.executed() == ["report"]
    record = ModelRegistry(clone.root).read("discs")
    assert [version.params["train"]["epochs"] for version in record.versions] == [12, 13, 14]
