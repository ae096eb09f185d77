"""Put the page together: charts, pictures, tables and prose into `index.html`."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from naslora_core.config import Params
from naslora_core.evaluation.architecture import describe_architecture
from naslora_core.evaluation.figures.heat_map import draw_heat_map
from naslora_core.evaluation.figures.layers import draw_layers
from naslora_core.evaluation.figures.learning import draw_learning
from naslora_core.evaluation.figures.per_image import draw_per_image
from naslora_core.evaluation.figures.style import DARK, LIGHT, chart_style, to_svg, write_png
from naslora_core.evaluation.figures.trajectory import draw_trajectory
from naslora_core.evaluation.headline import HEADLINE_METRICS
from naslora_core.evaluation.overlays import split_panels
from naslora_core.evaluation.report import sentences
from naslora_core.evaluation.report.sources import Results
from naslora_core.files import atomic_file
from naslora_core.progress import Progress, silent

_HERE = Path(__file__).parent


def write_report(
    folder: Path,
    results: Sequence[Results],
    params: Params,
    run: str | None = None,
    progress: Progress = silent,
) -> None:
    """Write `index.html`, and every chart as PNG beside it. The page needs no other file and no network.

    Args:
        folder: gets the files.
        results: of every domain, in the order of the page.
        params: the settings the results were made with.
        run: name of the ad-hoc run, None for the pipeline.
        progress: told after every domain.
    """
    domains = []
    for done, one in enumerate(results, start=1):
        domains.append(_domain_context(one, folder))
        progress(done, len(results), f"report {one.domain}")
    page = _environment().get_template("page.html.j2").render(
        domains=domains,
        opening=sentences.opening([row for one in results for row in one.headline]),
        method=sentences.METHODS[params.adapter.method],
        headline_metrics=HEADLINE_METRICS,
        metrics=_ordered_metrics(results[0].summary),
        bootstrap=results[0].summary,
        params=_flatten(params.model_dump(mode="json")),
        seed=params.seed,
        threshold=params.evaluate.threshold,
        model=params.model.name,
        hashes=list(dict.fromkeys(one.adapter["base"]["sha256"] for one in results)),
        run=run,
        light=LIGHT,
        dark=DARK,
    )  # fmt: skip
    with atomic_file(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = sentences.signed
    return environment


def _domain_context(results: Results, folder: Path) -> dict[str, Any]:
    charts = {}
    with chart_style():
        for name, figure in _charts(results):
            charts[name] = to_svg(figure, f"{results.domain}-{name}")
            write_png(figure, folder / f"{results.domain}_{name}.png")
    return {
        "results": results,
        "charts": charts,
        "metrics": _ordered_metrics(results.summary),
        "gallery": [_case(entry, results.folder) for entry in results.gallery],
        "gain": sentences.gain_sentence(results.summary),
        "data": sentences.verdict_sentence(results.verdict) + sentences.gate_sentence(results.adapter),
        "architecture": describe_architecture(results.layers, results.space) if results.layers else "",
        "certificate": sentences.certificate_sentences(results.certificate),
        "learning": sentences.learning_sentence(results.history),
        "training": sentences.training_sentence(results.history, results.training, results.adapter["method"]),
    }


def _charts(results: Results) -> Iterator[tuple[str, Figure]]:
    kept = results.training["best_epoch"]
    yield "per_image", draw_per_image(_dice_by_model(results.per_image))
    yield "learning", draw_learning(results.history, kept)
    if results.layers:
        yield "trajectory", draw_trajectory(results.alphas, kept)
        yield "layers", draw_layers(results.layers, results.space, results.alphas, kept)
        yield "architecture", draw_heat_map(results.layers, results.space)


def _dice_by_model(per_image: pd.DataFrame) -> pd.DataFrame:
    return per_image.pivot(index="name", columns="model", values="dice")


def _case(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    with Image.open(folder / entry["file"]) as strip:
        pictures = [_data_uri(picture) for picture in split_panels(strip, len(entry["panels"]))]
    return entry | {"pictures": dict(zip(entry["panels"], pictures, strict=True))}


def _data_uri(picture: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    # Full colour resolution: subsampled, the thin outlines would bleed.
    picture.save(buffer, format="JPEG", quality=88, subsampling=0)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"uri": f"data:image/jpeg;base64,{encoded}", "width": picture.width, "height": picture.height}


def _ordered_metrics(summary: dict[str, Any]) -> dict[str, Any]:
    metrics = summary["metrics"]
    return {name: metrics[name] for name in (*HEADLINE_METRICS, *_set_aside(metrics))}


def _set_aside(metrics: dict[str, Any]) -> list[str]:
    """Return the metrics that are not in the headline, by title; errors, where lower is better, come last."""
    others = [name for name in metrics if name not in HEADLINE_METRICS]
    return sorted(others, key=lambda name: (not metrics[name]["higher_is_better"], metrics[name]["title"]))


def _flatten(settings: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return settings as text by section; those outside any section come first, as section "general"."""
    general = {key: _text(value) for key, value in settings.items() if not isinstance(value, dict)}
    sections = {
        section: {key: _text(value) for key, value in values.items()}
        for section, values in settings.items()
        if isinstance(values, dict)
    }
    return {"general": general, **sections}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
