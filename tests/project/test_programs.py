"""Other programs: dvc and git are called in one package, so that what they print and how they fail is known there."""

import ast

import pytest

from tests.project.test_dependencies import FILES, ROOT

PROGRAMS = ("dvc", "git")
HOME = "pipelines/dvc/"
# A stage that `dvc repro` starts asks git for the revision itself; see `code_revision`.
ASKS_GIT = "stages/provenance.py"
RUNNERS = ("subprocess.", "asyncio.create_subprocess", "os.exec", "os.spawn", "os.posix_spawn", "shutil.which")


def calls(source: str) -> list[str]:
    """Say where a source text starts or looks for dvc or git, as "line what".

    That is a list or tuple of words that begins as a command of theirs does, or a call of something that starts
    programs with the name among its arguments.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List | ast.Tuple):
            words = [item.value if isinstance(item, ast.Constant) else None for item in node.elts]
            pairs = set(zip(words, words[1:], strict=False))
            if words[:1] in [[name] for name in PROGRAMS] or pairs & {("-m", name) for name in PROGRAMS}:
                found.append(f"{node.lineno} {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(RUNNERS):
            given = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if any(str(value).split(" ")[0] in PROGRAMS for value in given):
                found.append(f"{node.lineno} {ast.unparse(node)}")
        elif isinstance(node, ast.ImportFrom):
            # By its bare name, a call would not be seen.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [f"{node.lineno} imports {name} by its bare name" for name in names if name.startswith(RUNNERS)]
    return found


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(HOME)])
def test_dvc_and_git_are_called_in_one_room(file: str) -> None:
    found = calls((ROOT / file).read_text(encoding="utf-8"))
    assert [call for call in found if file != ASKS_GIT or "'git'" not in call] == []


@pytest.mark.parametrize(
    "line",
    [
        "subprocess.run(['git', 'log'], check=True)",
        "subprocess.Popen([sys.executable, '-m', 'dvc', 'repro'])",
        "command = ['git', '-C', folder]\nsubprocess.check_output([*command, 'log'])",
        "os.execvp('dvc', words)",
        "shutil.which('git')",
        "subprocess.getoutput('git log')",
        "from subprocess import run",
    ],
)
def test_the_test_sees_a_call(line: str) -> None:
    assert calls(line)


@pytest.mark.parametrize("file", ["command.py", "git.py"])
def test_the_test_sees_the_calls_there_are(file: str) -> None:
    assert calls((ROOT / HOME / file).read_text(encoding="utf-8"))
