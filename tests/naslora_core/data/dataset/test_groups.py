import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from naslora_core.config import load_params
from naslora_core.data.dataset.dataset import list_images, read_dataset
from naslora_core.data.dataset.duplicates import MOST_BITS, groups_of
from naslora_core.data.dataset.groups import find_duplicates, join_groups
from naslora_core.data.dataset.splits import draw_splits
from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
from naslora_core.quality.measure import measure_pairs
from tests.naslora_core.quality.corpus import draw, draw_mask, save


def copy_in_other_form(original: Path, copy: Path, number: int) -> None:
    """Write an image of 80 x 64 pixels again: as it is, in JPEG, or larger."""
    if number % 3 == 0:
        copy.with_suffix(".png").write_bytes(original.read_bytes())
    elif number % 3 == 1:
        Image.open(original).save(copy.with_suffix(".jpg"), quality=70)
    else:
        Image.open(original).resize((160, 128), Image.Resampling.BILINEAR).save(copy.with_suffix(".png"))


def test_copies_form_a_group_whatever_form_they_have_and_others_do_not(tmp_path: Path) -> None:
    for seed, name in enumerate("adx"):
        save(tmp_path / f"{name}.png", draw(seed))
    for number, name in enumerate("cbe"):
        copy_in_other_form(tmp_path / "a.png", tmp_path / name, number)
    copy_in_other_form(tmp_path / "x.png", tmp_path / "y", 1)
    (tmp_path / "broken.png").write_bytes(b"same")
    (tmp_path / "damaged.png").write_bytes(b"same")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to("nowhere")
    expected = {"a": "a", "b": "a", "c": "a", "e": "a", "x": "x", "y": "x"}
    seen: list[tuple[int, int]] = []
    found = find_duplicates(list_images(tmp_path), lambda done, total, _: seen.append((done, total)))
    assert found == expected
    assert seen == [(done, 11) for done in range(1, 12)]
    assert find_duplicates(list_images(tmp_path), workers=2) == expected
    assert find_duplicates({}) == find_duplicates({"broken": tmp_path / "broken.png"}) == {}


def test_a_fresh_import_separates_no_copies(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(12):
        original = tmp_path / "images" / f"{number:02d}.png"
        save(original, draw(number))
        copy_in_other_form(original, tmp_path / "images" / f"{number:02d}_copy", number)
        for name in (f"{number:02d}", f"{number:02d}_copy"):
            save(tmp_path / "masks" / f"{name}.png", draw_mask())
    for seed in (1, 2):
        request = ImportRequest(tmp_path, seed=seed)
        dataset = import_dataset(IMPORTERS["folder"](request), request, tmp_path / "data" / f"copies{seed}")
        alone = draw_splits([pair.name for pair in dataset.pairs], dataset.card.split)
        assert any(alone[f"{n:02d}"] != alone[f"{n:02d}_copy"] for n in range(12)), "or the draw proves nothing"
        table = measure_pairs(read_dataset(dataset.root), near_duplicate_bits=MOST_BITS)
        assert set(table["copy_in_other_split"]) == set(table["group_in_other_split"]) == {""}
        assert (table["copy_in_same_split"] != "").all()


def test_no_setting_makes_the_gate_find_copies_that_a_draw_does_not_know() -> None:
    quality = load_params(Path(__file__).parents[4] / "params.yaml").quality
    allowed = quality.model_dump() | {"near_duplicate_bits": MOST_BITS}
    assert type(quality).model_validate(allowed).near_duplicate_bits == MOST_BITS
    with pytest.raises(ValidationError, match="near_duplicate_bits"):
        type(quality).model_validate(allowed | {"near_duplicate_bits": MOST_BITS + 1})


def test_duplicates_join_groups_that_were_declared_apart() -> None:
    declared = {"a": "p1", "b": "p1", "c": "p2", "d": "p3", "e": "p3"}
    duplicates = {"b": "b", "c": "b", "lone": "lone", "other": "lone"}
    joined = join_groups(declared, duplicates)
    assert {name: joined[name] for name in "abcde"} == {"a": "p1", "b": "p1", "c": "p1", "d": "p3", "e": "p3"}
    assert joined["lone"] == joined["other"]


def test_a_chain_of_duplicates_is_one_group() -> None:
    declared = {"a": "p3", "b": "p1", "c": "p2", "d": "p3"}
    joined = join_groups(declared, {"a": "a", "b": "a", "c": "c", "d": "c"})
    assert set(joined.values()) == {"p1"}


@pytest.mark.skipif("NASLORA_DATASETS" not in os.environ, reason="NASLORA_DATASETS names no folder of real images")
def test_two_images_of_soybean_rust_are_one_file() -> None:
    folder = Path(os.environ["NASLORA_DATASETS"]) / "soybean-rust" / "original_images"
    assert find_duplicates(list_images(folder)) == {"image29": "image29", "image37": "image29"}


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_the_places_of_labels_that_repeat_are_found_as_by_counting(count):
    labels = np.random.default_rng(count).integers(0, max(1, count // 2), count)
    expected = [np.flatnonzero(labels == label).tolist() for label in range(count)]
    found = [members.tolist() for members in groups_of(labels)]
    assert found == [places for places in expected if len(places) > 1]
