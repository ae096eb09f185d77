"""Files that were made to do harm: each is refused with a message, quickly, and nothing outside is touched."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from naslora_core.config import load_params
from naslora_core.data.curation.quarantine import restore
from naslora_core.data.curation.quarantine_record import finish_interrupted
from naslora_core.data.dataset.card import DatasetCard, SplitRule, read_card
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import ConfigError, DataError, NasLoraError
from naslora_core.reading import MOST_NODES, measure_yaml, parse_yaml, read_json
from tests.fuzz.seeds import as_json, card, mask, picture
from tests.fuzz.targets.importers import COCO
from tests.fuzz.targets.records import ASIDE, ITEM, MANIFEST, PLAN, PREPARED

PARAMS = Path(__file__).parents[3] / "params.yaml"
LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'lol'}]" for n in range(12))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "more than 200,000 values"),
        ("[" * 100_000, "nested more than 64 deep"),
        ("{a: " * 100_000, "nested more than 64 deep"),
        ("- " * 50_000, "nested more than 64 deep"),
        ("&a [*a]", "is part of what it stands for"),
        ("a: &a {b: *a}", "is part of what it stands for"),
        ("x" * 2_000_000, "at most 1,048,576 are read"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("a: " + "9" * 5000, "integer string"),
        ("a: 2000-13-13", "month"),
        ("a: !!bool x", "x"),
        ("a: b\0c", "unacceptable character|special characters"),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_yaml_trap_is_refused_before_it_is_built(text: str, reason: str, tmp_path: Path) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.yaml is not valid YAML in UTF-8"):
        read_card(tmp_path)
    with pytest.raises(ConfigError, match=r"dataset\.yaml is not valid YAML in UTF-8"):
        load_params(tmp_path / "dataset.yaml")
    assert time.process_time() - begin < 5


def expanded(value: object) -> int:
    """Count the values of a plain structure the slow way: each as often as it is reached."""
    if isinstance(value, dict):
        return 1 + sum(expanded(key) + expanded(item) for key, item in value.items())
    return 1 + sum(map(expanded, value)) if isinstance(value, list) else 1


@given(st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_what_aliases_stand_for_is_counted_exactly(width: int, depth: int) -> None:
    text = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width) if n else 'x'}]" for n in range(depth + 1))
    nodes = expanded(YAML(typ="safe").load(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naslora_core.reading.MOST_NODES", nodes)
        measure_yaml(text)
        patch.setattr("naslora_core.reading.MOST_NODES", nodes - 1)
        with pytest.raises(ValueError, match="values"):
            measure_yaml(text)
    assert nodes < MOST_NODES


def test_anchors_are_still_of_use() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "a.json")


def test_json_with_half_a_letter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(r'{"a": "\udc80"}')
    with pytest.raises(ValueError, match="surrogates not allowed"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(r'{"a": "\ud83c\udf43"}')
    assert read_json(tmp_path / "a.json") == {"a": "\U0001f343"}


def test_a_message_repeats_no_more_than_a_line_of_a_setting(tmp_path: Path) -> None:
    content = YAML(typ="safe").load(PARAMS.read_text(encoding="utf-8"))
    content["train"]["lr"] = "x" * 100_000
    (tmp_path / "params.yaml").write_bytes(as_json(content))
    with pytest.raises(ConfigError, match=r"train\.lr") as refused:
        load_params(tmp_path / "params.yaml")
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["\x1b[2J\x1b]0;owned\x07", "a\rb", "gnp.\u202exe", "a\0b", "\x9b2J"])
def test_a_message_cannot_move_the_cursor(name: str) -> None:
    shown = str(NasLoraError(f"{name} is wrong\nsecond line"))
    assert shown.endswith(" is wrong\nsecond line")
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert str(NasLoraError("größer als 5 µm, 像素")) == "größer als 5 µm, 像素"


@pytest.mark.parametrize("field", ["title", "licence", "citation", "source"])
def test_a_card_holds_no_text_that_does_not_print(field: str) -> None:
    with pytest.raises(ValueError, match=r"do not print: '\\x1b'"):
        DatasetCard.model_validate(card(**{field: "a\x1b[2J"}))
    assert DatasetCard.model_validate(card(**{field: "two\nlines, نیم\u200cفاصله"}))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(?:a*)*b", "(a?){40}a", ".*.*.*.*x", "a*" * 9, "x" * 201])
def test_a_pattern_that_may_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"may take for ever|too long"):
        SplitRule(kind="random", seed=1, train=0.6, validation=0.2, test=0.2, group_pattern=pattern)


@given(st.text("a.*+?(){}[]|\\^$0,2b", max_size=24))
@settings(max_examples=150, deadline=None)
def test_a_pattern_that_is_taken_ends_in_time(pattern: str) -> None:
    try:
        rule = SplitRule(kind="random", seed=1, train=0.6, validation=0.2, test=0.2, group_pattern=pattern)
    except ValueError:
        return
    begin = time.process_time()
    rule.group_of("a" * 254 + "c")
    assert time.process_time() - begin < 4


@given(st.lists(st.tuples(st.text("ab/. \\", max_size=9), st.sampled_from("xyz")), max_size=6))
@settings(max_examples=200, deadline=None)
def test_folders_in_a_name_never_make_it_a_path_of_its_own(places: list[tuple[str, str]]) -> None:
    target = Path("/data/images")
    for name in unique_names(places):
        assert (target / f"{name}.png").parent == target


def test_a_coco_file_with_absolute_names_writes_nothing_outside(tmp_path: Path) -> None:
    names = ("/outside/a.jpg", "inside/a.jpg", "b.jpg")
    images = [{**image, "file_name": name} for image, name in zip(COCO["images"], names, strict=True)]
    files = {"instances.json": as_json({**COCO, "images": images})}
    folder = write(tmp_path / "in", files | {f"{n}.jpg": picture(".jpg", seed=n) for n in (1, 2, 3)})
    request = ImportRequest(folder)
    sources = IMPORTERS["coco"](request).sources
    assert [source.name for source in sources] == ["outside_a", "inside_a", "b"]
    with pytest.raises(DataError, match="no image"):
        import_dataset(IMPORTERS["coco"](request), request, tmp_path / "data" / "discs")


@pytest.mark.parametrize("name", ["../a", "a/b", "/tmp/a", ".hidden", "", "a\nb", "a\x1b[2J", "..\\a"])
def test_a_name_that_is_none_is_not_written(name: str, tmp_path: Path) -> None:
    from dataclasses import replace

    folder = write(tmp_path / "in", {"images/a.jpg": picture(".jpg"), "masks/a.png": mask()})
    request = ImportRequest(folder)
    found = IMPORTERS["folder"](request)
    found = replace(found, sources=tuple(replace(source, name=name) for source in found.sources))
    with pytest.raises(DataError, match="cannot be a file's name"):
        import_dataset(found, request, tmp_path / "data" / "discs")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("move", [["../victim", "images/a1.jpg"], ["images/a1.jpg", "../victim"],
                                  ["images/a1.jpg", "/tmp/victim"], ["images/../../victim", "images/x.jpg"],
                                  ["images/a1.jpg", "dataset.yaml"], ["images/..", "masks/x"]])  # fmt: skip
def test_the_journal_of_a_hostile_quarantine_moves_nothing_outside(move: list[str], tmp_path: Path) -> None:
    root = write(tmp_path / "discs", {**ASIDE, "quarantine/unfinished.json": as_json({**PLAN, "moves": [move]})})
    (tmp_path / "victim").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"unfinished\.json is damaged .* nothing was moved"):
        finish_interrupted(root)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "victim").read_text() == "mine"


def test_the_record_of_a_hostile_quarantine_moves_nothing_outside(tmp_path: Path) -> None:
    line = "a1,blurred,2026-01-01,train,,../../victim,masks/a1.png"
    record = f"name,reason,date,split,group,image,mask\n{line}\n"
    root = write(tmp_path / "discs", {**ASIDE, "quarantine/quarantine.csv": record.encode()})
    with pytest.raises(DataError, match=r"quarantine\.csv is damaged .*victim"):
        restore(root)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shard": "../train-00"}, "shard"),
        ({"shard": "/etc/passwd"}, "shard"),
        ({"row": 2}, "no row 2"),
        ({"row": -1}, "row"),
        ({"input_size": [9, 8]}, r"size \(9, 8\)"),
        ({"input_size": [0, 8]}, "input_size"),
        ({"name": 5}, "name"),
    ],
)
def test_prepared_data_leads_nowhere_else(change: dict[str, object], reason: str, tmp_path: Path) -> None:
    manifest = {**MANIFEST, "items": [{**ITEM, **change}]}
    folder = write(tmp_path, {**PREPARED, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(DataError, match=rf"(?s)is not preprocessed data .*{reason}"):
        load_prepared(folder, "train")
