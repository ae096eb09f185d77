"""Write the page: charts, pictures, tables and text in one `index.html`."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from naslora_core.config import Params
from naslora_core.files import atomic_file
from naslora_core.pictures.overlays import PREDICTION_COLOUR, SHARED_COLOUR, TRUTH_COLOUR, css
from naslora_core.progress import Progress, silent
from naslora_core.report import sentences
from naslora_core.report.choices import DEFAULT_THRESHOLD
from naslora_core.report.context import domain_context, ordered_metrics
from naslora_core.report.figures.style import DARK, LIGHT
from naslora_core.report.headline import HEADLINE_METRICS
from naslora_core.report.sources import Results

_HERE = Path(__file__).parent


def write_report(
    folder: Path,
    results: Sequence[Results],
    params: Params,
    run: str | None = None,
    progress: Progress = silent,
    service: Mapping[str, Mapping[str, Any]] | None = None,
    made_with: Mapping[str, str] | None = None,
    otherwise: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write `index.html`, and every chart as PNG beside it. The page needs no other file and no network.

    Args:
        folder: gets the files.
        results: of every domain, in the order of the page.
        params: the settings the results were made with.
        run: name of the trial, None for the pipeline.
        progress: called after every domain.
        service: by domain how the model in service compares with the merged one: "serving" and "candidate", each with
            "version" and "dice" (mean, low, high), "difference" (the same), "decision" (promoted or kept), "reason".
            The page says nothing of domains that are not in it.
        made_with: versions and revision by name, as `stages.provenance` finds them.
        otherwise: by setting and domain, the values of those results that were made with others than `params`.
    """
    domains = []
    for done, one in enumerate(results, start=1):
        service_of_one = (service or {}).get(one.domain)
        own, setting = float(one.model.get("threshold", DEFAULT_THRESHOLD)), params.evaluate.threshold
        threshold = own if setting == "auto" else setting
        domains.append(domain_context(one, folder, threshold, service_of_one, params.train))
        progress(done, len(results), f"report {one.domain}")
    script = (_HERE / "script.js").read_text(encoding="utf-8")
    page = _environment().get_template("page.html.j2").render(
        domains=domains,
        cases=[case for domain in domains for case in domain["gallery"]],
        error_colours={"found": css(SHARED_COLOUR), "missed": css(TRUTH_COLOUR), "extra": css(PREDICTION_COLOUR)},
        opening=sentences.opening([row for one in results for row in one.headline]),
        method=sentences.method_words(params.adapter.method),
        headline_metrics=HEADLINE_METRICS,
        metrics=ordered_metrics(results[0].summary),
        bootstrap=results[0].summary,
        params=_flatten(params.model_dump(mode="json"), otherwise or {}),
        seed=params.seed,
        threshold=params.evaluate.threshold,
        model=params.model.name,
        hashes=list(dict.fromkeys(one.adapter["base"]["sha256"] for one in results)),
        made_with=made_with or {},
        run=run,
        light=LIGHT,
        dark=DARK,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
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
    environment.filters["duration"] = sentences.duration
    return environment


def _flatten(settings: dict[str, Any], otherwise: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return settings as text by section; those outside any section come first, as section "general"."""

    def text(setting: str, value: Any) -> str:
        others = (f"; {domain}: {_text(other)}" for domain, other in otherwise.get(setting, {}).items())
        return _text(value) + "".join(others)

    general = {key: text(key, value) for key, value in settings.items() if not isinstance(value, dict)}
    sections = {
        section: {key: text(f"{section}.{key}", value) for key, value in values.items()}
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
