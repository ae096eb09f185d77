"""What every command owes its users: an example, help, a next step, and JSON for programs."""

import inspect
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli import app as cli
from pipelines.cli.output import Json, print_error, print_result
from pipelines.json_document import to_json

ROOT = Path(__file__).parents[3]

# Commands with a result that a program may want.
FOR_PROGRAMS = {
    "bench",
    "data check",
    "data diff",
    "data list",
    "data log",
    "data show",
    "doctor",
    "pretrain",
    "run",
    "stage",
}


def leaves(command, words=()):
    if subcommands := getattr(command, "commands", None):
        for name, below in subcommands.items():
            yield from leaves(below, (*words, name))
    else:
        yield " ".join(words), command


COMMANDS = dict(leaves(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_one_that_it_understands(name):
    match = re.fullmatch(rf"Example: naslora {name} ?(.*)", COMMANDS[name].epilog or "")
    assert match, f"{name} has no example"
    with COMMANDS[name].make_context(name, shlex.split(match[1])) as context:
        assert context.args == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_and_all_its_options_do(name):
    assert COMMANDS[name].help
    assert [param.name for param in COMMANDS[name].params if not param.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_the_next_step(name):
    own = inspect.getsource(inspect.getmodule(COMMANDS[name].callback))
    used = [ROOT / f"{name.replace('.', '/')}.py" for name in re.findall(r"from (pipelines[\w.]+) import", own)]
    assert any("Next: " in text for text in [own, *(file.read_text("utf-8") for file in used if file.is_file())])


def test_commands_with_a_result_give_it_to_programs():
    offered = {name for name, command in COMMANDS.items() if "--json" in {o for p in command.params for o in p.opts}}
    assert offered >= FOR_PROGRAMS


@dataclass(frozen=True)
class Score:
    file: Path
    dice: float


def test_a_document_has_whatever_results_are_made_of():
    content = {("a", 1): [Score(Path("x/y.png"), float("nan"))], "é": (None, True, float("inf"))}
    assert json.loads(to_json(content)) == {
        "('a', 1)": [{"file": "x/y.png", "dice": None}],
        "é": [None, True, None],
    }
    assert "é" in to_json(content)


@pytest.fixture
def chatty():
    """A command that prints more than its result, some of it past typer."""
    app = typer.Typer()

    @app.command()
    def measure(as_json: Json = False) -> None:
        typer.echo("measured")
        sys.stdout.write("a library talks\n")
        print_result({"dice": 0.5})
        typer.echo("Next: go on")

    return app


def test_with_json_standard_output_holds_the_document_alone(chatty):
    result = CliRunner().invoke(chatty, ["--json"])
    assert json.loads(result.stdout) == {"dice": 0.5}
    assert result.stderr == "measured\na library talks\nNext: go on\n"


def test_without_json_people_get_lines_and_no_document(chatty):
    CliRunner().invoke(chatty, ["--json"])
    result = CliRunner().invoke(chatty)
    assert result.stdout == "measured\na library talks\nNext: go on\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["data", "list"], lambda rows: [(row["domain"], row["pairs"], row["in_run"]) for row in rows][0]),
        (["data", "show", "discs"], lambda content: (content["name"], sum(content["pairs"].values()), True)),
    ],
)
def test_numbers_of_the_data_reach_a_program(drawn_project, arguments, what):
    result = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert what(json.loads(result.stdout)) == ("discs", 16, True)
    assert "Next: naslora" in result.stderr


def fail(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["naslora", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1


def test_an_error_is_a_document_too(drawn_project, monkeypatch, capsys):
    fail(monkeypatch, "data", "show", "disks", "--json")
    out, err = capsys.readouterr()
    assert list(json.loads(out)) == ["error"]
    assert "disks" in json.loads(out)["error"]
    assert err == ""
    fail(monkeypatch, "data", "show", "disks")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")


def test_print_error_keeps_the_whole_message(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["naslora", "run", "--json"])
    print_error(ValueError("one\ntwo"))
    assert json.loads(capsys.readouterr().out) == {"error": "one\ntwo"}


def test_a_run_and_a_stage_tell_programs_what_they_led_to(project):
    done = project.naslora("run", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["rerun"] == []
    assert {row["domain"] for row in outcome["headline"]} == {"discs", "squares"}
    assert "Nothing has changed" in done.stderr
    refused = project.naslora("stage", "merge", "--domain", "discs", "--run", "x", "--json")
    assert refused.returncode == 1
    assert "discs is not preprocessed data" in json.loads(refused.stdout)["error"]


def test_bars_of_a_run_are_drawn_from_the_lines_of_its_stages():
    from pipelines.dvc.repro_output import draw_progress

    told, said = [], []
    say = draw_progress(lambda *call: told.append(call), said.append)
    for line in ("search_train · leaf", "  epoch 3, loss 0.61  3/24", "unpacked data/leaf"):
        say(line)
    assert told == [(3, 24, "epoch 3, loss 0.61")]
    assert said == ["search_train · leaf", "unpacked data/leaf"]
