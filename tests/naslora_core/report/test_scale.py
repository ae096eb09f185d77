"""What the report says of scale, and what it shows of widths.json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.config import TrainConfig, load_params
from naslora_core.report.figures.style import chart_style, to_svg
from naslora_core.report.figures.widths import draw_widths
from naslora_core.report.page import write_report
from naslora_core.report.scale import view_in_use
from naslora_core.report.sources import Folders, read_results

PARAMS = Path(__file__).parents[3] / "params.yaml"
CRACK = {"name": "crack", "objects": 1200, "whole": [[1.0, 0.6], [4.0, 0.4]], "native": [[2.0, 0.6], [8.0, 0.4]]}
WIDTHS = {"input_px": 256, "cell_px": 4, "classes": [CRACK], "examples": []}
THIN = {"view": "crops", "has_thin_objects": True, "needs_detail": True, "reason": "crops: as the numbers say"}


def train(**settings: Any) -> TrainConfig:
    return load_params(PARAMS, [f"train.{key}={value}" for key, value in settings.items()]).train


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"view": "whole"}, "The model sees whole images at 256 pixels a side (train.view: whole)."),
        ({"view": "auto"}, "crops of 256 pixels at the images' own scale (train.view: auto chose crops)."),
        (
            {"view": "crops", "scale": 1.5},
            "crops of 256 pixels at 1.5 times the images' own scale (train.view: crops).",
        ),
        ({"view": "auto"}, "half in objects up to 2.0 pixels wide (1.0 in whole images)."),
        ({"view": "crops", "scale": 1.5}, "half in objects up to 3.0 pixels wide (1.0 in whole images)."),
        ({"view": "whole"}, "half in objects up to 1.0 pixels wide."),
        ({"view": "whole", "detail": "off"}, "A cell of SAM's masks is 4 pixels wide."),
        ({"detail": "auto"}, "4 pixels wide, of the finer masks in use 2."),
        ({"detail": "full"}, "4 pixels wide, of the finer masks in use 1."),
        ({"view": "whole"}, "The gate suggests crops: as the numbers say."),
    ],
)
def test_it_says_what_is_in_use_and_what_was_suggested(settings: dict[str, Any], said: str) -> None:
    assert said in " ".join(view_in_use(THIN, WIDTHS, train(**settings)).sentences())


def test_auto_follows_the_suggestion() -> None:
    wide = THIN | {"view": "whole", "has_thin_objects": False, "needs_detail": False}
    view = view_in_use(wide, WIDTHS, train(view="auto", detail="auto"))
    assert (view.is_crops, view.cell_px) == (False, 4)


def test_the_chart_has_the_mask_cell_and_what_is_in_use_alone() -> None:
    with chart_style():
        crops, whole = (
            to_svg(draw_widths(view_in_use(THIN, WIDTHS, train(view=view, detail=detail))), "x")
            for view, detail in (("crops", "half"), ("whole", "off"))
        )
    assert all(word in crops for word in ("mask cell", "finer cell", "crops, in use", "var(--second)"))
    assert "mask cell" in whole
    assert not any(word in whole for word in ("finer cell", "in use"))


def test_examples_are_shown_with_their_dice(write_stages: Callable[[Path, str, str], Folders], tmp_path: Path) -> None:
    folders = write_stages(tmp_path, "leaf", "lora")
    results = read_results("leaf", folders)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(results.scale_folder / "1_image.jpg")
    for kind in ("drawn", "kept"):
        Image.fromarray(np.eye(8, dtype=bool)).save(results.scale_folder / f"1_{kind}.png")
    files = {"image": "1_image.jpg", "drawn": "1_drawn.png", "kept": "1_kept.png"}
    results.scale["examples"] = [{"name": "<i>7", "class": "disc", "dice": 0.534, **files}]
    write_report(tmp_path / "report", [results], load_params(PARAMS))
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Dice 0.53" in text
    assert text.count("data:image/png;base64,") == 2
    assert "A window of the training image &lt;i&gt;7." in text


def test_a_dataset_without_objects_has_no_chart(
    write_stages: Callable[[Path, str, str], Folders], tmp_path: Path
) -> None:
    results = read_results("leaf", write_stages(tmp_path, "leaf", "lora"))
    results.scale["classes"] = []
    write_report(tmp_path / "report", [results], load_params(PARAMS))
    assert not (tmp_path / "report" / "leaf_widths.png").exists()
    assert "At which scale" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
