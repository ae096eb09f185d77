"""Prefect artifacts of a flow's steps: tables, example masks and decisions."""

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from PIL import Image
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from naslora_core.errors import DataError
from naslora_core.quality.verdict import Verdict
from naslora_core.report.headline import format_headline
from pipelines.run.reproduce import RunOutcome
from pipelines.run.steps import Decision
from stages.paths import StagePaths

_PICTURE_WIDTH_PX = 1200


def publish(root: Path, result: object) -> None:
    """Publish the result of a step as an artifact, for steps that have one."""
    if isinstance(result, Decision):
        _publish_decision(root, result)
    elif isinstance(result, list) and result and isinstance(result[0], Verdict):
        _publish_quality(result)


def publish_rejection(error: DataError) -> None:
    """Publish the files for which the gate rejected the data."""
    text = (
        f"**Data rejected. Nothing was stored or trained, the models in service are as before.**\n\n```\n{error}\n```"
    )
    create_markdown_artifact(text, key="data-rejected", description="What has to be corrected before anything runs")


def publish_headline(text: str) -> None:
    """Publish the outcome of a run."""
    create_markdown_artifact(text, key="headline", description="Scores of the last models on the test images")


def headline_text(outcome: RunOutcome) -> str:
    """Return the outcome of a run as Markdown."""
    ran = ", ".join(outcome.rerun) or "nothing, no data or setting has changed"
    lines = [f"**Ran:** {ran}", ""]
    lines += [f"- {decision}" for decision in outcome.decisions]
    lines += ["", "```", format_headline(outcome.headline), "```"]
    if outcome.report.is_file():
        lines += ["", f"Report: `{outcome.report}`"]
    return "\n".join(lines)


def publish_table(rows: Sequence[Mapping[str, object]], key: str, description: str) -> None:
    """Publish rows of named cells as a table; what JSON has no number for, infinite or none, is left empty.

    Prefect's answer is no JSON with such a number in it, and its pages show nothing at all then.
    """
    create_table_artifact([_finite(row) for row in rows], key=key, description=description)


def _finite(value: Any) -> Any:
    """Return a value with None for every number in it that is not finite, also in lists and mappings."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, Real) and not math.isfinite(value) else value


def _publish_quality(verdicts: Sequence[Verdict]) -> None:
    rows: list[dict[str, Any]] = []
    for verdict in verdicts:
        counts = {severity: len(verdict.of_severity(severity)) for severity in ("critical", "warning")}
        checks = f"{verdict.expectations_run} of {verdict.expectations_expected}"
        rows.append(
            {"domain": verdict.dataset, "pairs": verdict.pairs, **verdict.pairs_per_split, **counts, "checked": checks}
        )
        for failure in verdict.failures:
            finding = f"{failure.description}: {failure.count} files"
            rows.append({"domain": verdict.dataset, "finding": finding, "severity": failure.severity})
    publish_table(rows, key="data-quality", description="What the data check found, domain by domain")


def _publish_decision(root: Path, decision: Decision) -> None:
    # Keys of artifacts have no underscores.
    domain = decision.domain.replace("_", "-")
    create_markdown_artifact(_decision_text(decision), key=f"decision-{domain}", description=str(decision)[:200])
    if decision.comparison:
        rows = [
            {
                "metric": row.metric,
                "in service": round(row.serving.mean, 4),
                "new": round(row.candidate.mean, 4),
                "difference": round(row.difference.mean, 4),
                "95 % interval": f"{row.difference.low:+.4f} to {row.difference.high:+.4f}",
            }
            for row in decision.comparison.rows
        ]
        publish_table(rows, key=f"scores-{domain}", description="Both models on the same test images")
    picture = _example(StagePaths(root).output("evaluate", decision.domain))
    create_image_artifact(picture, key=f"examples-{domain}", description="Image, truth, base and new model")


def _decision_text(decision: Decision) -> str:
    version = decision.version
    lines = [f"# {decision.domain}: version {version.number} {'promoted' if decision.promoted else 'not promoted'}"]
    lines += ["", decision.reason[0].upper() + decision.reason[1:] + ".", ""]
    if comparison := decision.comparison:
        again = "was measured again, because images or code had changed" if comparison.remeasured else "as stored"
        lines += [f"- {comparison.images} test images; the model in service, version {comparison.serving}, {again}."]
        if comparison.left_out:
            lines += [f"- Left out, because that model was trained on them: {', '.join(comparison.left_out)}."]
    pairs = ", ".join(f"{count} {split}" for split, count in version.data["pairs"].items())
    lines += [f"- Data: {pairs}, SHA-256 `{version.data['sha256'][:12]}`. Code: `{version.code}`."]
    lines += [f"- Warm start: {decision.warm_start}."] if decision.warm_start else []
    lines += [f"- Merge {version.certificate['mode']}: {version.certificate['reason'].rstrip('.')}."]
    back, over = (
        f"naslora models rollback {decision.domain}",
        f"naslora models promote {decision.domain} {version.number}",
    )
    lines += [f"- Undo or overrule: `{back}`, `{over}`."]
    return "\n".join(lines)


def _example(evaluated: Path) -> str:
    """Return the middle one of the gallery's strips as a data URI."""
    entries = json.loads((evaluated / "gallery.json").read_text(encoding="utf-8"))
    with Image.open(evaluated / entries[len(entries) // 2]["strip"]) as strip:
        white = Image.new("RGBA", strip.size, "white")
        picture = Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB")
    picture.thumbnail((_PICTURE_WIDTH_PX, _PICTURE_WIDTH_PX))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
