"""The template context of one domain: charts, pictures, sentences and tables."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from naslora_core.config import TrainConfig
from naslora_core.report import sentences
from naslora_core.report.architecture import architecture_in_words, found_in_words, found_table
from naslora_core.report.choices import options_context
from naslora_core.report.figures.architecture import draw_architecture
from naslora_core.report.figures.calibration import draw_calibration
from naslora_core.report.figures.cells import draw_cells
from naslora_core.report.figures.choosing import draw_choosing
from naslora_core.report.figures.found import draw_found
from naslora_core.report.figures.layers import draw_layers
from naslora_core.report.figures.learning import draw_learning
from naslora_core.report.figures.per_image import draw_per_image
from naslora_core.report.figures.style import chart_style, to_svg, write_png
from naslora_core.report.figures.trajectory import draw_trajectory
from naslora_core.report.figures.widths import draw_widths
from naslora_core.report.headline import HEADLINE_METRICS
from naslora_core.report.merge import merged_layers
from naslora_core.report.pictures import gallery_cases, heat_cases, lost_cases
from naslora_core.report.scale import ViewInUse, view_in_use
from naslora_core.report.sources import Results

# Of each breakdown: its title, the unit of its bounds, and what they are to be multiplied by for it.
LEVELS = {
    "object_size": ("By size of the object", "% of the image", 100),
    "contrast_level": ("By contrast of the object", "", 1),
}


def domain_context(
    results: Results, folder: Path, threshold: float, service: Mapping[str, Any] | None, train: TrainConfig
) -> dict[str, Any]:
    """Return the template context of one domain, and write its charts as PNG.

    Args:
        results: of the stages.
        folder: gets the charts; links are relative to it.
        threshold: probability above which a pixel was predicted foreground.
        service: how the model in service compares, see `write_report`.
        train: what the model was trained with.
    """
    charts = {}
    view = view_in_use(results.view, results.scale, train)
    with chart_style():
        for name, figure in _charts(results, threshold, view):
            charts[name] = to_svg(figure, f"{results.domain}-{name}")
            write_png(figure, folder / f"{results.domain}_{name}.png")
    return {
        "results": results,
        "service": service,
        "service_sentence": sentences.service_sentence(service) if service else "",
        "charts": charts,
        "metrics": ordered_metrics(results.summary),
        "levels": LEVELS,
        "gallery": gallery_cases(results.gallery, results.folder, results.domain),
        "heat": heat_cases(results.heat, results.folder),
        "scale": view.sentences(),
        "test_time": options_context(
            results.test_time, results.test_time_seconds, results.certificate.get("threshold")
        ),
        "lost": lost_cases(results.scale["examples"], results.scale_folder),
        "heat_sentence": sentences.heat_sentence(results.heat),
        "gain": sentences.gain_sentence(results.summary),
        "data": sentences.verdict_sentence(results.verdict) + sentences.gate_sentence(results.adapter),
        "data_docs": os.path.relpath(results.data_docs, folder) if results.data_docs else "",
        "architecture": _architecture(results),
        "found": found_table(results.found) if results.found else [],
        "certificate": sentences.certificate_sentences(results.certificate),
        "merged_layers": merged_layers(results.certificate),
        "learning": sentences.learning_sentence(results.history),
        "training": sentences.training_sentence(
            results.history, results.training, results.adapter["method"], results.train_seconds
        ),
        "records": _records(results),
    }


def ordered_metrics(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the description of each metric: the headline's first, errors (lower is better) last."""
    metrics = summary["metrics"]
    others = [name for name in metrics if name not in HEADLINE_METRICS]
    others.sort(key=lambda name: (not metrics[name]["higher_is_better"], metrics[name]["title"]))
    return {name: metrics[name] for name in (*HEADLINE_METRICS, *others)}


def _charts(results: Results, threshold: float, view: ViewInUse) -> Iterator[tuple[str, Figure]]:
    kept = results.training["best_epoch"]
    yield "per_image", draw_per_image(_dice_by_model(results.per_image))
    # The name of the file in published reports.
    yield "trust", draw_calibration(results.thresholds, results.calibration, threshold)
    if view.classes:
        yield "widths", draw_widths(view)
    yield "learning", draw_learning(results.history, kept)
    if results.found:
        if results.found.branches:
            yield "found", draw_found(results.found)
        if len(results.alphas):
            yield "choosing", draw_choosing(results.alphas, results.rank_shares, results.found.spatial)
    elif results.layers:
        yield "cells", draw_cells(results.layers, results.space)
        yield "trajectory", draw_trajectory(results.alphas, kept)
        yield "layers", draw_layers(results.layers, results.space, results.alphas, kept)
        yield "architecture", draw_architecture(results.layers, results.space)


def _architecture(results: Results) -> str:
    if results.found:
        return found_in_words(results.found, results.adapter.get("search", {}))
    return architecture_in_words(results.layers, results.space) if results.layers else ""


def _dice_by_model(per_image: pd.DataFrame) -> pd.DataFrame:
    return per_image.pivot(index="name", columns="model", values="dice")


def _records(results: Results) -> dict[str, str]:
    """Return the JSON records that the stages wrote, by file name."""
    contents = {
        "validate/verdict.json": results.verdict.shortened(5).model_dump(mode="json"),
        "search_train/adapter.json": results.adapter,
        "search_train/metrics.json": results.training,
        "merge/model.json": results.model,
        "merge/certificate.json": results.certificate,
    }
    return {file: json.dumps(content, indent=2, ensure_ascii=False) for file, content in contents.items()}
