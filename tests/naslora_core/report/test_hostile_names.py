"""Names from untrusted data: a page shows them as text, and has the same elements as with harmless ones."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from naslora_core.bench.page import format_page
from naslora_core.config import load_params
from naslora_core.quality.checks import Check, none_in
from naslora_core.quality.engine import run_suite
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, read_results

# Sorted as the other one is.
HARMLESS = "a word"
HOSTILE = "</code></title></script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\n{{ 7 * 7 }} ${name} &lt;"
WORDS = (HARMLESS, HOSTILE)
# Where a stage writes what untrusted data contain, by file of its folder.
CHOSEN = {
    "evaluate/summary.json": {"title", "licence", "citation", "source"},
    "evaluate/gallery.json": {"name"},
    "evaluate/heat.json": {"name"},
    "validate/verdict.json": {"description", "observed", "file", "problem"},
    "merge/certificate.json": {"reason", "message"},
    "merge/model.json": {"domain"},
}


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes, and all that it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Great Expectations makes one of each end of a line.
        self.tags += [(tag, tuple(name for name, _ in attrs))] if tag != "br" else []
        self.words += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def assert_shown_as_text(harmless: str, hostile: str) -> None:
    plain, strange = Structure(harmless), Structure(hostile)
    assert strange.tags == plain.tags
    said = " ".join(" ".join(strange.words).split())
    assert "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>" in said


def choose(content: Any, fields: set[str], word: str) -> Any:
    """Return what a file holds, with a word added to every text in these fields."""
    if isinstance(content, dict):
        return {
            name: f"{value} {word}" if name in fields and isinstance(value, str) else choose(value, fields, word)
            for name, value in content.items()
        }
    return [choose(one, fields, word) for one in content] if isinstance(content, list) else content


def report(folders: Folders, out: Path, word: str) -> str:
    for place, fields in CHOSEN.items():
        stage, _, name = place.partition("/")
        file = getattr(folders, stage) / name
        file.write_text(json.dumps(choose(json.loads(file.read_text()), fields, word)))
    scores = folders.evaluate / "per_image.csv"
    table = pd.read_csv(scores, dtype={"name": str})
    table.assign(name=table["name"] + f" {word}").to_csv(scores, index=False)
    results = read_results("leaf", folders)
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    write_report(out, [results], params, run=f"trial {word}", made_with={"torch": word})
    return (out / "index.html").read_text(encoding="utf-8")


def test_the_report(write_stages: Callable[[Path, str, str], Folders], tmp_path: Path) -> None:
    pages = []
    for number, word in enumerate(WORDS):
        folders = write_stages(tmp_path / str(number), "leaf", "nas_lora")
        legend = folders.evaluate / "gallery.json"
        entries = json.loads(legend.read_text())
        for entry in entries:
            entry["legend"] = {f"{name} {word}": colour for name, colour in entry["legend"].items()}
        legend.write_text(json.dumps(entries))
        pages.append(report(folders, tmp_path / f"report {number}", word))
    assert_shown_as_text(*pages)
    # Its own script, and no other.
    assert len(re.findall("<script", pages[1])) == 1


def test_the_page_of_a_benchmark() -> None:
    score = {"mean": 0.7, "low": 0.6, "high": 0.8, "seeds": 3, "images": 40}
    row = {
        "adapted": score, "merged": score, "difference": score, "trainable_parameters": 1, "train_seconds": 240,
        "latency_ratio": 1.02,
    }  # fmt: skip
    pages = []
    for word in WORDS:
        rows = {word: row | {"merge": [word], "merge_refused": word, "again": word}}
        summary = {"question": word, "reference": word, "domains": {"leaves": rows}, "cost": {}}
        pages.append(format_page(summary, {"leaves": {f"architecture-{word}": "<svg></svg>"}}, word))
    assert_shown_as_text(*pages)


@pytest.mark.parametrize("place", ["pairs.html", "measurements-pairs.html"])
def test_the_pages_of_great_expectations(place: str, tmp_path: Path) -> None:
    pages = []
    for number, word in enumerate(WORDS):
        suite = [
            none_in("problem", "clean", "critical", f"nothing is {word}", str),
            Check(f"enough_{word}", "ExpectColumnSumToBeBetween", "warning", word, {"column": word, "min_value": 9}),
        ]
        table = pd.DataFrame({"problem": ["", word, word], word: [1, 2, 3]})
        folder = tmp_path / str(number)
        outcomes = run_suite(table, suite, folder)
        assert [outcome.rows for outcome in outcomes if outcome.check.name == "clean"] == [(1, 2)]
        (page,) = folder.rglob(place)
        pages.append(page.read_text(encoding="utf-8"))
    assert_shown_as_text(*pages)
    assert "script-src 'none'" in pages[1]
