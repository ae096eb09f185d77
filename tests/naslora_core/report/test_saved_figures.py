"""Figures as they are saved: within their picture, the same in every file, laid out once."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from naslora_core.report.figures.style import WIDTH_IN, chart_style, panels, to_svg, write_png


def _figure() -> Figure:
    figure, axes = panels(2, height_in=2.0)
    for side in axes:
        side.plot([0, 1], [0, 1e6])
        side.set_ylabel("a label\nof two lines")
    return figure


def test_a_figure_is_laid_out_once_for_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts: list[Figure] = []
    lay_out = ConstrainedLayoutEngine.execute

    def counted(engine: ConstrainedLayoutEngine, figure: Figure) -> dict[str, object]:
        layouts.append(figure)
        return lay_out(engine, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    with chart_style():
        figure = _figure()
        to_svg(figure, "x")
        places = [axes.get_position().bounds for axes in figure.axes]
        write_png(figure, tmp_path / "x.png")
    assert layouts == [figure]
    assert places == [axes.get_position().bounds for axes in figure.axes]


def test_a_saved_figure_fills_its_picture_and_nothing_lies_outside(tmp_path: Path) -> None:
    with chart_style():
        figure = _figure()
        write_png(figure, tmp_path / "x.png")
        found = figure.get_tightbbox()
    # In inches, as are the margins that `panels` asks for.
    assert found.extents == pytest.approx([0.1, 0.1, WIDTH_IN - 0.1, 1.9], abs=0.01)
