"""Progress on terminals and in files."""

import io
import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest

from stages import console
from stages.console import ConsoleProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests turn by hand."""
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def printed(progress_calls, clock=None, seconds=0.0):
    stream = io.StringIO()
    progress = ConsoleProgress(stream)
    for call in progress_calls:
        if clock:
            clock[0] += seconds
        progress(*call)
    return stream.getvalue().splitlines()


def test_short_work_in_a_file_has_a_line_at_the_start_and_one_at_the_end(clock):
    lines = printed([(done, 100, f"epoch {done}, loss 0.{done}") for done in range(1, 101)], clock, seconds=0.01)
    assert lines == ["  epoch 1, loss 0.1  1/100", "  epoch 100, loss 0.100  100/100"]


def test_long_work_in_a_file_tells_of_every_tenth(clock):
    lines = printed([(done, 100, "epoch") for done in range(1, 101)], clock, seconds=2)
    assert [line.split()[-1] for line in lines] == ["1/100", *(f"{tenth}0/100" for tenth in range(1, 11))]


def test_very_long_work_in_a_file_tells_of_itself_every_half_minute(clock):
    lines = printed([(done, 10000, "epoch") for done in range(1, 101)], clock, seconds=10)
    assert len(lines) == 1 + 99 // 3
    assert lines[1] == "  epoch  4/10000"


def test_whoever_draws_bars_of_the_lines_gets_as_many_as_they_ask_for(clock, monkeypatch):
    monkeypatch.setenv(console.INTERVAL_VARIABLE, "1")
    assert len(printed([(done, 10000, "epoch") for done in range(1, 101)], clock, seconds=1)) == 100


def test_works_that_take_turns_do_not_start_anew_with_every_call(clock):
    calls = [(done, total, name) for done in range(1, 11) for name, total in (("images", 10), ("masks", 20))]
    assert printed(calls) == ["  images  1/10", "  masks  1/20", "  images  10/10"]


def test_the_same_work_done_twice_is_told_twice(clock):
    calls = [(done, 3, f"cost of row {row}") for row in (1, 2) for done in (1, 2, 3)]
    assert len(printed(calls)) == 4


def on_terminal(code: str, **environment: str) -> str:
    """Run code with a pseudo terminal as standard error and output, and return what it shows."""
    main, child = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "100"} | environment
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=child, stdout=child, stderr=child, env=env
    )
    os.close(child)
    shown = b""
    try:
        while piece := os.read(main, 65536):
            shown += piece
    except OSError:  # The end of a pseudo terminal on Linux.
        pass
    os.close(main)
    process.wait(30)
    return shown.decode()


COLOUR = r"\x1b\[[0-9;]+m"
WORK = """
import sys, time
from stages.console import ConsoleProgress
progress = ConsoleProgress()
for done in range(1, 5):
    time.sleep(0.11)
    progress(done, {total}, f"epoch {{done}}, loss 0.{{done}}")
    print("a line between")
"""


def test_a_terminal_shows_one_bar_with_the_time_left_and_gets_its_cursor_back():
    shown = on_terminal(WORK.format(total=4))
    assert re.search(COLOUR, shown)
    plain = re.sub(COLOUR, "", shown)
    assert re.search(r"epoch 3, loss 0.3 [━╸╺]+ 3/4 0:00:0\d", plain)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    lines = [line.rstrip() for line in screen(shown)]
    assert lines.count("a line between") == 4
    assert sum("━" in line for line in lines) == 1


def test_without_colour_there_is_a_bar_all_the_same():
    shown = on_terminal(WORK.format(total=4), NO_COLOR="1")
    assert "4/4" in shown
    assert not re.search(COLOUR, shown)


def test_in_ci_even_a_terminal_gets_lines_only():
    shown = on_terminal(WORK.format(total=4), CI="true")
    assert "\x1b" not in shown
    assert "  epoch 1, loss 0.1  1/4" in shown


@pytest.mark.parametrize("ending", ["sys.exit('error: no space left')", "pass"])
def test_work_that_breaks_off_leaves_the_terminal_in_order(ending):
    shown = on_terminal(WORK.format(total=9) + ending)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    lines = screen(shown)
    assert lines[-1] == ""
    assert sum("4/9" in line for line in lines) == 1
    assert ("error: no space left" in lines) == ("error" in ending)


def test_a_failing_stage_prints_its_error_below_the_bar():
    shown = on_terminal("""
        import pathlib, shutil, os, tempfile
        from naslora_core.errors import DataError
        from stages.runner import run_stage
        root = pathlib.Path(tempfile.mkdtemp())
        shutil.copy("params.yaml", root)
        os.chdir(root)
        def main(domain, params, paths, progress):
            progress(1, 9, "read images")
            raise DataError("7.png is cut short")
        run_stage(main, needs_domain=False, arguments=[])
        """)
    lines = [line.rstrip() for line in screen(shown) if line.strip()]
    assert "1/9" in lines[-2]
    assert lines[-1] == "error: 7.png is cut short"
    assert shown.endswith("cut short\r\n")


def screen(shown: str) -> list[str]:
    """The lines a terminal shows in the end: an emulation of what bars use."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if token == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b["):
            count = int(re.sub(r"\D", "", token) or 1)
            if token.endswith("A"):
                row -= count
            elif token.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return lines
