import pandas as pd
import pytest
from matplotlib.figure import Figure

from naslora_core.adapted.searched_layers import Layer
from naslora_core.report.figures.layers import draw_layers, first_to_last
from naslora_core.report.figures.style import LIGHT, chart_style

SPACE = ["none", "skip_connect", "conv_3x3"]


def layer(block: int, edge: str = "") -> Layer:
    return Layer(f"image_encoder.blocks.{block}.attn.qkv{edge}", "8x8", dict.fromkeys(SPACE, 1 / 3))


def draw(layers: list[Layer], weights: dict[int, tuple[float, ...]]) -> Figure:
    rows = [
        {"epoch": epoch, "layer": one.name, "primitive": name, "weight": weight}
        for epoch, values in weights.items()
        for one in layers
        for name, weight in zip(SPACE, values, strict=True)
    ]
    with chart_style():
        return draw_layers(layers, SPACE, pd.DataFrame(rows), kept_epoch=1)


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


def test_every_layer_and_edge_has_a_panel_with_its_name():
    figure = draw([layer(0, ":0_1"), layer(0, ":0_2"), layer(1)], {0: (0.2, 0.3, 0.5), 1: (0.2, 0.3, 0.5)})
    assert titles(figure) == ["block 0 · 8x8 · 0→1", "block 0 · 8x8 · 0→2", "block 1 · 8x8"]


def test_bands_fill_the_panel_and_the_line_is_the_entropy():
    figure = draw([layer(0)], {0: (1 / 3, 1 / 3, 1 / 3), 1: (0.5, 0.5, 0.0), 2: (0.0, 1.0, 0.0)})
    lines = figure.axes[0].get_lines()
    edges = [list(line.get_ydata()) for line in lines if line.get_color() == LIGHT["surface"]]
    assert edges[-1] == pytest.approx([1, 1, 1])
    entropy = next(line for line in lines if line.get_color() == LIGHT["ink"])
    # Two equal weights of three: log 2 / log 3.
    assert list(entropy.get_ydata()) == pytest.approx([1, 0.6309, 0], abs=1e-4)


def test_of_a_large_model_layers_from_the_first_to_the_last_are_shown():
    figure = draw([layer(block) for block in range(50)], {0: (0.2, 0.3, 0.5), 1: (0.2, 0.3, 0.5)})
    shown = titles(figure)
    assert len(shown) == 32
    assert shown[0].startswith("block 0 ")
    assert shown[-1].startswith("block 49 ")
    assert figure.legends[0].get_title().get_text() == "32 of 50 layers"


def test_layers_that_are_drawn_go_from_the_first_to_the_last():
    assert first_to_last(range(10), 4) == [0, 3, 6, 9]
    assert first_to_last("abc", 2) == ["a", "c"]
    assert first_to_last(range(7), 32) == list(range(7))
    assert first_to_last([], 32) == []
