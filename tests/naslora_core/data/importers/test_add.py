"""What is added to a dataset is stored in its encoding, and reads as what it was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.encoding import decode_mask, read_class_ids
from naslora_core.data.dataset.splits import read_splits, write_splits
from naslora_core.data.importers import Found, ImportRequest, Source, add_dataset
from naslora_core.data.importers.joined_classes import joined_card
from naslora_core.data.importers.painting.encode_masks import write_encoded
from naslora_core.errors import DataError

RULE = SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2)
GREY: dict[str, Any] = {"classes": ("crop",), "mask_threshold": 128}
VALUES: dict[str, Any] = {"classes": ("crop", "weed"), "mask_values": {"crop": (3, 4), "weed": (200,)}}
DEEP: dict[str, Any] = {"classes": ("crop", "weed"), "mask_values": {"crop": (700,), "weed": (2,)}}
COLOURS: dict[str, Any] = {"classes": ("crop", "weed"), "mask_values": {"crop": ("#00ff00",), "weed": ("#ff0000",)}}
INSTANCES: dict[str, Any] = {"classes": ("crop",), "mask_reading": "instances"}
ALPHA: dict[str, Any] = {"classes": ("crop",), "mask_reading": "alpha"}
IGNORING: dict[str, Any] = VALUES | {"mask_ignore": (255,)}


def card(fields: Mapping[str, Any]) -> DatasetCard:
    return DatasetCard(
        name="field", title="Field", split=RULE, licence="none", citation="none", source="a test", **fields
    )


def ids(*numbers: int) -> np.ndarray:
    """Return (20, 30) uint8 with a square of each number."""
    found = np.zeros((20, 30), np.uint8)
    for place, number in enumerate(numbers):
        found[2:8, 1 + 7 * place : 6 + 7 * place] = number
    return found


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        (GREY, (1,)),
        (GREY | {"mask_threshold": 1, "mask_ignore": (255,)}, (1, 255)),
        (VALUES, (1, 2)),
        (DEEP, (1, 2)),
        (COLOURS, (2, 1)),
        (COLOURS | {"mask_ignore": ("#ffffff",)}, (2, 255, 1)),
        (INSTANCES, (1,)),
        (INSTANCES | {"mask_ignore": (255,)}, (255, 1)),
        (ALPHA, (1,)),
        (IGNORING, (255, 1, 2)),
        (VALUES, ()),
    ],
)
def test_what_is_written_in_an_encoding_reads_as_the_same_ids(
    tmp_path: Path, fields: dict[str, Any], numbers: tuple[int, ...]
) -> None:
    write_encoded(ids(*numbers), card(fields), tmp_path / "a.png")
    np.testing.assert_array_equal(read_class_ids(tmp_path / "a.png", card(fields)), ids(*numbers))


@pytest.mark.parametrize(
    ("fields", "numbers", "message"),
    [(VALUES, (255,), "mask_ignore"), (GREY, (255,), "mask_ignore"), (GREY, (2,), "hold one")],
)
def test_what_an_encoding_cannot_hold_is_refused(
    tmp_path: Path, fields: dict[str, Any], numbers: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_encoded(ids(*numbers), card(fields), tmp_path / "a.png")


def dataset(root: Path, fields: dict[str, Any], numbers: tuple[int, ...]) -> Path:
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(12):
        picture(root / f"images/{number}.png", number)
        write_encoded(ids(*numbers), card(fields), root / f"masks/{number}.png")
    write_card(root, card(fields))
    write_splits(root, {str(n): ("train", "validation", "test")[n % 3] for n in range(12)})
    return root


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)


def found(root: Path, fields: dict[str, Any], numbers: tuple[int, ...], split: str | None = None) -> Found:
    sources = []
    for number in range(3):
        picture(root / f"images/new_{number}.png", 100 + number)
        path = root / f"masks/new_{number}.png"
        path.parent.mkdir(exist_ok=True)
        write_encoded(ids(*numbers), card(fields), path)
        sources.append(Source(f"new_{number}", root / f"images/new_{number}.png", path, split))
    encoding = {name: value for name, value in fields.items() if name in ("classes", "mask_threshold", "mask_values")}
    return Found(
        sources=tuple(sources), title="", licence="not stated", citation="not stated", origin="a test", **encoding
    )


@pytest.mark.parametrize("has", [VALUES, DEEP, COLOURS, IGNORING], ids=["values", "16 bits", "colours", "ignoring"])
@pytest.mark.parametrize(
    ("comes", "numbers", "names"),
    [
        (GREY, (1,), ("crop",)),
        (GREY | {"classes": ("soil",)}, (1,), ("soil",)),
        (VALUES | {"classes": ("weed", "crop")}, (1, 2), ("weed", "crop")),
        (COLOURS, (2, 1), ("weed", "crop")),
        (VALUES | {"mask_values": {"crop": (1,), "weed": (2,)}}, (2, 1), ("weed", "crop")),
    ],
)
def test_masks_of_another_encoding_are_converted(
    tmp_path: Path,
    has: dict[str, Any],
    comes: dict[str, Any],
    numbers: tuple[int, ...],
    names: tuple[str, ...],
) -> None:
    root = dataset(tmp_path / "field", has, (1, 2))
    added, _ = add_dataset(found(tmp_path / "new", comes, numbers), ImportRequest(tmp_path / "new"), root, "new")
    assert len(added.pairs) == 15
    assert added.card.classes[:2] == ("crop", "weed")
    meant = ids(*(added.card.classes.index(name) + 1 for name in names))
    for pair in added.pairs:
        assert pair.mask
        decoded = decode_mask(pair.mask, added.card)
        assert decoded.unknown == ()
        np.testing.assert_array_equal(decoded.ids, meant if pair.name.startswith("new") else ids(1, 2))


@pytest.mark.parametrize("has", [GREY, INSTANCES, ALPHA])
def test_masks_of_one_class_take_that_class_in_any_encoding_and_no_other(tmp_path: Path, has: dict[str, Any]) -> None:
    root = dataset(tmp_path / "field", has, (1,))
    request = ImportRequest(tmp_path / "new")
    with pytest.raises(DataError, match="Bring in that class alone: --class crop"):
        add_dataset(found(tmp_path / "new", VALUES, (1, 2)), request, root, "new")
    with pytest.raises(DataError, match="say so: --class crop"):
        add_dataset(found(tmp_path / "new", GREY | {"classes": ("corp",)}, (1,)), request, root, "new")
    one = {"classes": ("crop",), "mask_values": {"crop": (7,)}}
    added, _ = add_dataset(found(tmp_path / "new", one, (1,)), request, root, "new")
    for pair in added.pairs:
        assert pair.mask
        np.testing.assert_array_equal(read_class_ids(pair.mask, added.card), ids(1))


def test_what_nobody_labelled_gets_a_value_of_its_own() -> None:
    joined, _ = joined_card(card(VALUES), card(IGNORING))
    assert joined.mask_ignore == (255,)
    taken = VALUES | {"mask_values": {"crop": (255,), "weed": (1,)}}
    assert joined_card(card(taken), card(IGNORING))[0].mask_ignore == (2,)
    assert joined_card(card(COLOURS), card(IGNORING))[0].mask_ignore == ("#ffffff",)
    assert joined_card(card(IGNORING), card(VALUES))[0].mask_ignore == (255,)


def test_a_published_split_of_what_is_added_holds_and_the_old_one_too(tmp_path: Path) -> None:
    root = dataset(tmp_path / "field", VALUES, (1, 2))
    before = read_splits(root)
    added, _ = add_dataset(
        found(tmp_path / "new", VALUES, (1, 2), split="test"), ImportRequest(tmp_path / "new"), root, "new"
    )
    splits = {pair.name: pair.split for pair in added.pairs}
    assert splits == before | {f"new_{number}": "test" for number in range(3)}


def test_links_and_other_files_of_the_dataset_stay(tmp_path: Path) -> None:
    root = dataset(tmp_path / "field", VALUES, (1, 2))
    (root / "images/0.png").rename(tmp_path / "elsewhere.png")
    (root / "images/0.png").symlink_to(tmp_path / "elsewhere.png")
    (root / "notes").mkdir()
    (root / "notes/of.txt").write_text("ours")
    add_dataset(found(tmp_path / "new", VALUES, (1, 2)), ImportRequest(tmp_path / "new"), root, "new")
    assert (root / "images/0.png").is_symlink()
    assert (root / "notes/of.txt").read_text() == "ours"
    assert len(read_dataset(root).pairs) == 15
