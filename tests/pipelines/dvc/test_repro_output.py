"""What of dvc's output a user sees, and what explains a failure."""

from pipelines.dvc.repro_output import ReproOutput


def read(text: str) -> tuple[ReproOutput, list[str]]:
    said: list[str] = []
    output = ReproOutput(said.append)
    for line in text.splitlines():
        output.add(line)
    return output, said


def test_stages_and_their_progress_are_said_and_nothing_else():
    _, said = read(
        "'data.dvc' didn't change, skipping\n"
        "Running stage 'search_train@leaf_lesions':\n"
        "> python -m stages.search_train --domain leaf_lesions\n"
        "UserWarning: something\n"
        "  epoch, Dice 0.61  3/24\n"
        "Updating lock file 'dvc.lock'\n"
        "\n"
        "Stage 'merge@leaf_lesions' is cached - skipping run, checking out outputs\n"
        "Running stage 'report':\n"
        "\tgit add dvc.lock\n"
    )
    assert said == [
        "search_train · leaf_lesions",
        "  epoch, Dice 0.61  3/24",
        "merge · leaf_lesions: outputs taken from the cache",
        "report",
    ]


def test_a_stage_that_explains_itself_is_quoted_to_its_last_line():
    output, _ = read(
        "Running stage 'validate@polyps':\n"
        "error: polyps REJECTED\n"
        "  error: not true that every mask opens [1 file]\n"
        "      masks/7.png: cut short\n"
        "ERROR: failed to reproduce 'validate@polyps': failed to run: python -m …, exited with 1\n"
    )
    assert output.explain() == (
        "validate · polyps failed: polyps REJECTED\n"
        "  error: not true that every mask opens [1 file]\n"
        "      masks/7.png: cut short"
    )


def test_a_killed_stage_is_explained_by_its_last_words():
    output, _ = read(
        "Running stage 'merge@polyps':\n"
        "Killed\n"
        "ERROR: failed to reproduce 'merge@polyps': failed to run: python -m …, exited with 137\n"
    )
    assert output.explain() == "merge · polyps failed: Killed"


def test_an_error_of_dvc_itself_is_passed_on():
    output, _ = read("ERROR: '/x/dvc.yaml' is invalid.\n")
    assert output.explain() == "dvc repro failed: '/x/dvc.yaml' is invalid."
