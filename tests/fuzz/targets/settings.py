"""Files of settings and lists: params.yaml, --set, dataset.yaml, splits.csv, tables of a benchmark."""

from pathlib import Path

from naslora_core.bench.table import load_table, trainings_of
from naslora_core.config import load_params
from naslora_core.data.dataset.card import read_card, write_card
from naslora_core.data.dataset.splits import complete_splits, read_groups, read_splits
from naslora_core.errors import ConfigError
from pipelines.run.enable_domain import enable_domain
from tests.fuzz.harness import target
from tests.fuzz.seeds import ROOT, as_json, card, project_settings

NAMES = ("a1", "a2", "b1", "a" * 250, "a_1-b(2)")


@target("params", lambda: [{"params.yaml": as_json(project_settings()), "set.txt": b"train.lr=0.001\nadapter.rank=4"}])
def params(folder: Path) -> None:
    file = folder / "set.txt"
    overrides = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n") if file.is_file() else []
    load_params(folder / "params.yaml", overrides)


@target("enable", lambda: [{"params.yaml": (ROOT / "params.yaml").read_bytes()}], weight=0.05)
def enable(folder: Path) -> None:
    enable_domain(folder / "params.yaml", "discs")


@target(
    "card",
    lambda: [
        {"dataset.yaml": as_json(card())},
        {"dataset.yaml": as_json(card(classes=["a", "b"], mask_threshold=None, mask_values={"a": [1], "b": [2, 3]}))},
        {
            "dataset.yaml": as_json(
                card(mask_threshold=None, mask_values={"disc": ["#ff0000"], "background": ["#00ff00"]})
            )
        },
    ],
)
def read_and_write_card(folder: Path) -> None:
    known = read_card(folder)
    for name in NAMES:
        known.split.group_of(name)
    write_card(folder, known)
    assert read_card(folder) == known, "what was written is read as something else"


@target(
    "splits",
    lambda: [
        {"dataset.yaml": as_json(card()), "splits.csv": b"name,split\na1,train\na2,test\nb1,validation\n"},
        {"dataset.yaml": as_json(card()), "splits.csv": b"\xef\xbb\xbfname,split,group\na1,train,g\na2,test,\n"},
    ],
)
def splits(folder: Path) -> None:
    rule = read_card(folder).split
    complete_splits(NAMES, read_splits(folder), rule, read_groups(folder))


@target("table", lambda: [{"t.yaml": (ROOT / "configs" / "bench" / "methods.yaml").read_bytes()}], weight=0.3)
def table(folder: Path) -> None:
    file = next(iter(sorted(folder.glob("*.yaml"))), None)
    if file is None:
        raise ConfigError("the table has another name")
    trainings_of(load_table(file))
