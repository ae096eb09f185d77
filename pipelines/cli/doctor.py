"""`naslora doctor`: check the installation, and say what to do about what is missing."""

import typer

from pipelines.cli.output import Json, print_result

_SIGNS = {"ok": "✓", "note": "–", "missing": "✗"}


def doctor(as_json: Json = False) -> None:
    """Show what is installed, which device computes, what is missing and what to do next.

    Exit code 1 if the pipeline could not run.
    """
    from pipelines.run.doctor import examine

    missing, advice, findings = False, "", []
    for finding in examine():
        findings.append(finding)
        typer.echo(f"{_SIGNS[finding.level]} {finding.subject:22} {finding.detail}")
        if finding.advice:
            typer.echo(f"  {'':22} → {finding.advice}")
        # What is optional has its advice beside it; the next step is about what keeps a run from starting.
        if finding.level == "missing" and not missing:
            missing, advice = True, finding.advice
    typer.echo(f"\nNext: {advice or 'naslora run'}")
    print_result({"ready": not missing, "findings": findings, "next": advice or "naslora run"})
    if missing:
        raise typer.Exit(1)
