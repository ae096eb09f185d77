"""The gate on masks of several classes, and the pages that Great Expectations writes of it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.quality.engine import run_suite
from naslora_core.quality.expectations import build_suite
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.measure import measure_pairs
from tests.naslora_core.quality.corpus import draw_mask
from tests.naslora_core.quality.flawless import CARD, QUALITY, write_pairs

STRICT = QUALITY.model_copy(update={"min_class_images": 2})
IDS = {"background": (0,), "crop": (1,), "weed": (2, 255)}
SEVERAL = DatasetCard.model_validate(
    CARD.model_dump() | {"classes": ("crop", "weed"), "mask_threshold": None, "mask_values": IDS}
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return 12 pairs: a disc of the class crop in each, and pixels of weed in the first."""
    root = tmp_path / "corpus"
    write_pairs(root, [f"pair_{index:02d}" for index in range(12)])
    write_card(root, SEVERAL)
    for path in root.glob("masks/*"):
        Image.fromarray(crop()).save(path)
    weed = crop()
    weed[:2], weed[2, :4] = 2, 255
    paletted = Image.fromarray(weed)
    paletted.putpalette(bytes(value for index in range(256) for value in (index, 255 - index, 7)))
    paletted.save(root / "masks/pair_00.png")
    return root


def crop() -> np.ndarray:
    """Return (H, W) uint8, 1 on a disc."""
    return draw_mask() // 255


def test_unknown_values_and_channels_are_critical_and_a_rare_class_is_a_warning(root: Path) -> None:
    strange = crop()
    strange[0, :3] = 7, 9, 9
    Image.fromarray(strange).save(root / "masks/pair_05.png")
    Image.fromarray(np.stack([crop(), crop(), 0 * crop()], axis=2)).save(root / "masks/pair_07.png")
    verdict, table = check_dataset(root, STRICT)
    assert [(f.expectation, f.severity, [e.file for e in f.files], f.observed) for f in verdict.failures] == [
        ("values_known", "critical", ["masks/pair_05.png"], ""),
        ("one_channel", "critical", ["masks/pair_07.png"], ""),
        ("enough_weed", "warning", [], "found in 1"),
        ("classes_tested", "warning", [], "validation lacks weed; test lacks weed"),
    ]
    assert "masks/pair_05.png: has 7, 9, which no class has" in verdict.message()
    assert verdict.expectations_run == verdict.expectations_expected
    first = table.set_index("name").loc["pair_00"]
    assert first["mask_mode"] == "P", "a palette of 256 colours stores class ids all the same"
    assert first["share_weed"] == pytest.approx((2 * 80 + 4) / (64 * 80))
    assert first["share_crop"] == pytest.approx(crop().mean())
    assert (table["has_weed"] == 1).sum() == 1


def pages(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_pages_are_the_same_to_the_byte_and_tell_nobody(root: Path, tmp_path: Path) -> None:
    suite = build_suite(STRICT, SEVERAL)
    several = [check for check in suite if check.name in ("enough_pairs", "mask_opens", "same_size", "enough_weed")]
    table = measure_pairs(read_dataset(root))
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        assert len(run_suite(table, several, tmp_path / name)) == 4
    written = pages(tmp_path / "first")
    assert written == pages(tmp_path / "again")
    assert any(b"quality.min_class_images" in content for content in written.values())
    for name, content in written.items():
        assert not re.search(
            rb"posthog|googletag|google-analytics|segment\.(io|com)|mixpanel|heapanalytics", content
        ), name
        assert not re.search(rb"(url\(|@import )[\"']?https?://", content), name
        if name.endswith(".html"):
            assert not re.search(rb"<(script|link|img|iframe)[^>]*https?://", content), name
