"""`naslora doctor`: is this installation ready, and if not, what to do."""

import typer

_SIGNS = {"ok": "✓", "note": "–", "missing": "✗"}


def doctor() -> None:
    """Show what is installed, which device computes, what is missing and what to do next.

    Exit code 1 if the pipeline could not run.
    """
    from pipelines.doctor import examine

    missing, advice = False, ""
    for finding in examine():
        typer.echo(f"{_SIGNS[finding.level]} {finding.subject:22} {finding.detail}")
        if finding.advice:
            typer.echo(f"  {'':22} → {finding.advice}")
        # The first thing that is missing comes before any note.
        if finding.level == "missing" and not missing:
            missing, advice = True, finding.advice
        advice = advice or finding.advice
    typer.echo(f"\nNext: {advice or 'naslora run'}")
    if missing:
        raise typer.Exit(1)
