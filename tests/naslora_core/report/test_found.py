"""The report of an architecture of one operation a layer: sentence, table, pictures and page."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from naslora_core.adapted.searched_layers import FoundArchitecture, Layer, read_found
from naslora_core.config import load_params
from naslora_core.report.architecture import format_table, found_in_words, found_table
from naslora_core.report.figures.choosing import draw_choosing
from naslora_core.report.figures.found import draw_found
from naslora_core.report.figures.layers import draw_layers
from naslora_core.report.figures.style import LIGHT, chart_style
from naslora_core.report.page import write_report
from naslora_core.report.sources import Folders, read_results

WriteStages = Callable[[Path, str, str], Folders]
SPACE = ["conv_3x3", "skip_connect"]


def entry(block: int, module: str, operation: str, **ranks: int) -> dict[str, object]:
    is_paid = operation == "conv_3x3" and any(ranks.values())
    return {
        "layer": f"image_encoder.blocks.{block}.{module}", "window": "image", "argmax": operation, "ranks": ranks,
        "weights": {name: float(name == operation) for name in SPACE}, "operation": operation,
        "sees": "8x8" if operation == "conv_3x3" else "token", "cost": 0.009 if is_paid else 0.0,
    }  # fmt: skip


GENOTYPE = {
    "format": 1, "space": SPACE, "spatial": ["conv_3x3"], "inference": 1.018, "parameters": 58112,
    "layers": [
        entry(1, "attn.qkv", "skip_connect", q=4, k=0, v=8),
        entry(1, "mlp.lin1", "conv_3x3", lin1=2),
        entry(2, "attn.qkv", "conv_3x3", q=0, k=0, v=0),
        entry(10, "attn.qkv", "conv_3x3", q=0, k=8, v=0),
        entry(10, "mlp.lin1", "conv_3x3", lin1=8),
    ],
}  # fmt: skip


@pytest.fixture
def found() -> FoundArchitecture:
    read = read_found(GENOTYPE)
    assert read is not None
    return read


def alphas() -> pd.DataFrame:
    """Equal shares and the full rank at the start and after an epoch, then the choice; one operation is in no layer."""
    rows = []
    for epoch, layer in ((epoch, layer) for epoch in range(3) for layer in GENOTYPE["layers"]):
        name, is_open = layer["layer"], epoch < 2
        for op in (*SPACE, "dct_filter"):
            rows.append((epoch, name, op, 0.3333 if is_open else float(op == layer["operation"])))
        for section, chosen in layer["ranks"].items():
            left = 8 if is_open else chosen
            rows += [(epoch, f"{name}:{section}", f"rank {rank}", float(rank == left)) for rank in (0, 2, 4, 8)]
    return pd.DataFrame(rows, columns=["epoch", "layer", "primitive", "weight"])


def test_a_sentence_says_how_many_layers_have_a_branch_and_where_spatial_ones_are(found: FoundArchitecture):
    assert found_in_words(found, {"budget": 1.02, "max_parameters": 60000}) == (
        "4 of 5 layers have a branch; 3 are spatial (blocks 1, 10: mlp.lin1; block 10: attn.qkv); estimated inference "
        "1.018 of the base's, 1.02 allowed; 58,112 parameters, 60,000 allowed."
    )
    assert found_in_words(found, {"budget": "none", "max_parameters": "none"}).count("allowed") == 0


def test_the_table_has_a_row_for_each_branch(found: FoundArchitecture):
    lines = format_table(found_table(found)).splitlines()
    assert len(lines) == 2 + 4
    assert lines[2].split() == ["1", "attn.qkv", "q", "4,", "v", "8", "skip_connect", "token", "none"]
    assert lines[4].split() == ["10", "attn.qkv", "k", "8", "conv_3x3", "8x8", "+0.90", "%"]


def test_the_grid_has_a_number_for_each_rank_and_empty_cells_elsewhere(found: FoundArchitecture):
    with chart_style():
        axes = draw_found(found).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "10"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["q", "k", "v", "lin1"]
    numbers = {(text.get_text(), int(text.get_position()[0]), int(text.get_position()[1])) for text in axes.texts}
    assert numbers == {("4", 0, 0), ("8", 0, 2), ("2", 0, 3), ("8", 2, 1), ("8", 2, 3)}
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert sum(not cell.get_fill() for cell in cells) == len(cells) - len(numbers) == 6


def test_the_maps_have_rows_in_the_order_of_the_model_and_a_line_where_they_settle():
    table = alphas()
    of_ranks = table["primitive"].str.startswith("rank ")
    with chart_style():
        shares, ranks = draw_choosing(table[~of_ranks], table[of_ranks], ["conv_3x3"]).axes
    assert [label.get_text() for label in shares.get_yticklabels()] == [
        "1 attn.qkv", "1 mlp.lin1", "2 attn.qkv", "10 attn.qkv", "10 mlp.lin1",
    ]  # fmt: skip
    assert len(ranks.get_yticklabels()) == 11
    assert ranks.get_title(loc="left") == "Rank that is left, 0 to 8"
    (line,) = [line for line in shares.get_lines() if line.get_color() == LIGHT["second"]]
    assert list(line.get_xdata()) == [1.5, 1.5]
    # The darkest are the three spatial branches after the choice, and no layer without a branch.
    (darkest,) = [patch for patch in shares.patches if patch.get_alpha() == 1]
    assert {int(row) for row in darkest.get_path().vertices[:, 1]} == {1, 2, 3, 4, 5}
    assert len(darkest.get_path().to_polygons()) == 3


def test_bands_of_a_mixture_are_drawn_beside_rows_of_ranks():
    table = alphas()
    layers = [Layer(one["layer"], "image", one["weights"]) for one in GENOTYPE["layers"]]
    with chart_style():
        figure = draw_layers(layers, SPACE, table, kept_epoch=1)
    assert sum(axes.axison for axes in figure.axes) == 5


@pytest.mark.parametrize("searched", [True, False])
def test_the_page_shows_what_was_found(searched: bool, write_stages: WriteStages, tmp_path: Path):
    folders = write_stages(tmp_path, "leaf", "nas_lora")
    (folders.search_train / "genotype.json").write_text(json.dumps(GENOTYPE), encoding="utf-8")
    alphas()[: None if searched else 0].to_csv(folders.search_train / "alphas.csv", index=False)
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    write_report(tmp_path / "report", [read_results("leaf", folders)], params)
    charts = {path.stem.removeprefix("leaf_") for path in (tmp_path / "report").glob("*.png")}
    assert charts & {"cells", "layers", "architecture", "trajectory"} == set()
    assert ("found" in charts, "choosing" in charts) == (True, searched)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "4 of 5 layers have a branch; 3 are spatial" in text
    assert re.search(r"<td>q 4, v 8</td>\s*<td>skip_connect</td>", text)
    assert ("Nothing was searched in this training" in text) != searched
