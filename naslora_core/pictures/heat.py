"""Draw Grad-CAM heat maps over test images, for several models on one scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.dataset.ignored import foreground_share, is_foreground, without_ignored
from naslora_core.evaluation.summary import DECIMALS
from naslora_core.files import atomic_file, write_json
from naslora_core.pictures.gallery import choose_cases
from naslora_core.pictures.overlays import GAP_PX, PANEL_SIDE_PX, TRUTH_COLOUR, contours_of, hatch, panel

IMAGES = 6

# Its lightness rises evenly, so it reads the same in grey and with any colour vision.
COLOUR_MAP = "inferno"
_PAPER, _INK = (250, 250, 250), (30, 32, 38)
_TITLE_PX, _TEXT_PX = 30, 16
_LEAST_OPACITY, _MOST_OPACITY = 0.35, 0.85

# By model, then by image name: (h, w), at least 0.
Heats = Mapping[str, Mapping[str, np.ndarray]]


def scale_of(heats: Heats, name: str) -> float:
    """Return the largest value of several models' heat maps of an image; 1 if all are 0."""
    return float(max(heat[name].max() for heat in heats.values())) or 1.0


def heat_panel(image: np.ndarray, heat: np.ndarray, scale: float, ignored: np.ndarray | None = None) -> Image.Image:
    """Return the image under a heat map, shrunk to at most `PANEL_SIDE_PX` a side.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (h, w) over the whole image, at least 0.
        scale: the heat that is drawn brightest.
        ignored: (H, W) bool, pixels that nobody labelled, hatched in grey; None if there are none.
    """
    picture = Image.fromarray(image).convert("L").convert("RGB")
    picture.thumbnail((PANEL_SIDE_PX, PANEL_SIDE_PX), Image.Resampling.LANCZOS)
    share = Image.fromarray((heat / scale).astype(np.float32)).resize(picture.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(share), 0, 1)
    colour = mpl.colormaps[COLOUR_MAP](level)[..., :3] * 255
    opacity = (_LEAST_OPACITY + (_MOST_OPACITY - _LEAST_OPACITY) * level)[..., None]
    picture = Image.fromarray(np.rint(np.asarray(picture) * (1 - opacity) + colour * opacity).astype(np.uint8))
    if ignored is not None:
        hatch(picture, ignored)
    return picture


def heat_panels(pair: Pair, card: DatasetCard, heats: Heats) -> dict[str, Image.Image]:
    """Return the panels of one image by title: "truth", then every model's heat on the scale of the hottest.

    Raises:
        DataError: if a file is missing or unreadable.
    """
    image, ids = read_pair(pair, card)
    truth, ignored = without_ignored(ids)
    scale = scale_of(heats, pair.name)
    true = contours_of(truth) if len(card.classes) > 1 else [(truth, TRUTH_COLOUR)]
    return {"truth": panel(image, true, ignored)} | {
        model: heat_panel(image, heat[pair.name], scale, ignored) for model, heat in heats.items()
    }


def write_heat_sheet(path: Path, pairs: Sequence[Pair], card: DatasetCard, heats: Heats) -> dict[str, float]:
    """Write a PNG with a row for each image: truth, then the heat of every model.

    Returns:
        By model the mean share of its heat on labelled pixels that lies on the true foreground, 0..1.

    Raises:
        DataError: if a file is missing or unreadable.
    """
    cell = PANEL_SIDE_PX + GAP_PX
    sheet = Image.new("RGB", ((len(heats) + 1) * cell + GAP_PX, len(pairs) * cell + _TITLE_PX), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    for row, pair in enumerate(pairs):
        for column, (title, picture) in enumerate(heat_panels(pair, card, heats).items()):
            sheet.paste(picture, (GAP_PX + column * cell, _TITLE_PX + row * cell))
            if row == 0:
                draw.text((GAP_PX + column * cell, (_TITLE_PX - _TEXT_PX) / 2), title, _INK, font)
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    truths = {pair.name: read_pair(pair, card)[1] for pair in pairs}
    return {
        model: sum(share_inside(heat[name], ids) for name, ids in truths.items()) / len(truths)
        for model, heat in heats.items()
    }


def choose_by_score(pairs: Sequence[Pair], scores: pd.Series) -> list[Pair]:
    """Return `IMAGES` of the pairs, chosen by the gallery's rule; `scores` is indexed by image name."""
    by_name = {pair.name: pair for pair in pairs}
    return [by_name[name] for _, name in choose_cases(scores, IMAGES)]


def write_heat(folder: Path, pairs: Sequence[Pair], card: DatasetCard, heats: Heats) -> None:
    """Write the panels of each image as JPEG, and `heat.json` with their models and titles.

    Args:
        folder: gets `heat.json` and `heat/`.
        pairs: the images to show, in this order.
        card: says what the masks mean.
        heats: of every model, from `explain_models`.

    Raises:
        DataError: if a file is missing or unreadable.
    """
    (folder / "heat").mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    for position, pair in enumerate(pairs, start=1):
        files = {}
        for title, picture in heat_panels(pair, card, heats).items():
            files[title] = f"heat/{position:02d}_{title}.jpg"
            picture.save(folder / files[title], quality=86)
        truth = read_pair(pair, card)[1]
        inside = {model: share_inside(heat[pair.name], truth) for model, heat in heats.items()}
        share = round(foreground_share(truth), DECIMALS)
        entries.append({"name": pair.name, "panels": files, "inside": inside, "truth_share": share})
    write_json(folder / "heat.json", entries)


def share_inside(heat: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of the heat on labelled pixels that lies on the foreground, 0..1; 0 where there is no heat.

    Args:
        heat: (h, w) over the whole image, at least 0.
        truth: (H, W) uint8 class ids, IGNORED_ID where nobody labelled.
    """
    ignored = without_ignored(truth)[1]
    size = (truth.shape[1], truth.shape[0])
    spread = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    total = float((spread if ignored is None else spread[~ignored]).sum(dtype=np.float64))
    return round(float(spread[is_foreground(truth)].sum(dtype=np.float64)) / total, DECIMALS) if total > 0 else 0.0
