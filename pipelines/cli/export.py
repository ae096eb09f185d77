"""`naslora export`: results in the formats of other projects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

export_app = typer.Typer(
    help="Write a result in the format of another project: segment-anything, Hugging Face PEFT, ONNX, torch.export.",
    no_args_is_help=True,
)
Domain = Annotated[str, typer.Option(help="Which domain's model.")]
Run = Annotated[str | None, typer.Option(help="Take it from runs/RUN.", show_default="the pipeline's own")]
Force = Annotated[bool, typer.Option("--force", help="Take the place of an earlier export.")]


@export_app.command(epilog="Example: naslora export sam --domain leaf_lesions --out leaves.pth")
def sam(
    domain: Domain,
    out: Annotated[Path | None, typer.Option(help="The file.", show_default="DOMAIN.pth")] = None,
    run: Run = None,
    force: Force = False,
) -> None:
    """Write the merged model as a checkpoint that segment-anything loads.

    For models merged with exact or calibrated: the file has nothing but SAM's own tensors.
    """
    from naslora_core.export.sam_checkpoint import export_sam_checkpoint

    target = out or Path(f"{domain}.pth")
    source = _source("merge", domain, run)
    _check_file(target, force)
    _tell(target, export_sam_checkpoint(source, target))


@export_app.command(epilog="Example: naslora export peft --domain leaf_lesions --out leaves_lora")
def peft(
    domain: Domain,
    out: Annotated[Path | None, typer.Option(help="The folder.", show_default="DOMAIN_peft")] = None,
    run: Run = None,
    force: Force = False,
) -> None:
    """Write the merged model as a LoRA that Hugging Face PEFT puts onto the original SAM.

    For models merged with exact or calibrated. The trained mask decoder goes with it.
    """
    from naslora_core.export.peft_folder import FILES, export_peft_folder

    target = out or Path(f"{domain}_peft")
    source = _source("merge", domain, run)
    _check_folder(target, FILES, force)
    _tell(target, export_peft_folder(source, target))


@export_app.command(epilog="Example: naslora export adapter --domain leaf_lesions --out leaves_adapter")
def adapter(
    domain: Domain,
    out: Annotated[Path | None, typer.Option(help="The folder.", show_default="DOMAIN_adapter")] = None,
    run: Run = None,
    force: Force = False,
) -> None:
    """Copy the adapter as it was trained, its mask decoder and their description; every model has these."""
    from naslora_core.adapted.saved import FILES
    from naslora_core.export.adapter_folder import export_adapter_folder

    target = out or Path(f"{domain}_adapter")
    source = _source("search_train", domain, run)
    _check_folder(target, FILES, force)
    _tell(target, export_adapter_folder(source, target))


@export_app.command(epilog="Example: naslora export onnx --domain leaf_lesions --out leaves.onnx")
def onnx(
    domain: Domain,
    out: Annotated[Path | None, typer.Option(help="The file.", show_default="DOMAIN.onnx")] = None,
    opset: Annotated[int, typer.Option(min=18, help="Version of ONNX's operators.")] = 18,
    run: Run = None,
    force: Force = False,
) -> None:
    """Write the merged model as one ONNX file: pixels in, logits and probabilities out, for any batch.

    For every way of merging and any number of classes. ONNX Runtime computes test images with the file before it is
    put in place, and its logits have to be those of the model to 0.001.
    """
    from naslora_core.export.onnx_file import export_onnx

    target = out or Path(f"{domain}.onnx")
    source = _source("merge", domain, run)
    _check_file(target, force)
    typer.echo("converting, a minute or two …")
    exported = export_onnx(source, target, opset)
    _tell_checked(exported.difference)
    _tell(target, exported.lines)


@export_app.command("torch", epilog="Example: naslora export torch --domain leaf_lesions --out leaves.pt2")
def torch_program(
    domain: Domain,
    out: Annotated[Path | None, typer.Option(help="The file.", show_default="DOMAIN.pt2")] = None,
    run: Run = None,
    force: Force = False,
) -> None:
    """Write the merged model as a program for torch.export.load, which needs nothing of naslora.

    Checked as ONNX files are. Only load .pt2 files you trust: loading one may unpickle what is in it.
    """
    from naslora_core.export.torch_program import export_torch_program

    target = out or Path(f"{domain}.pt2")
    source = _source("merge", domain, run)
    _check_file(target, force)
    exported = export_torch_program(source, target)
    _tell_checked(exported.difference)
    _tell(target, exported.lines)


def _source(stage: str, domain: str, run: str | None) -> Path:
    from pipelines.run.project import project_root
    from stages.paths import StagePaths
    from stages.runner import require_domain

    paths = StagePaths(project_root(), run)
    require_domain(paths, domain)
    return paths.source(stage, domain)


def _check_file(target: Path, force: bool) -> None:
    from naslora_core.errors import ConfigError

    if target.is_dir() or (target.exists() and not force):
        raise ConfigError(f"{target} exists; give another --out, or --force to replace a file")


def _check_folder(target: Path, files: Sequence[str], force: bool) -> None:
    from naslora_core.errors import ConfigError

    if not target.exists():
        return
    if not force:
        raise ConfigError(f"{target} exists; give another --out, or --force to replace it")
    # Replacing means deleting, and this may be the folder of someone's photographs.
    if not target.is_dir() or (others := {path.name for path in target.iterdir()} - set(files)):
        found = f"it holds {sorted(others)[0]}" if target.is_dir() else "it is a file"
        raise ConfigError(f"{target} is not an earlier export: {found}; give another --out")


def _tell_checked(difference: float) -> None:
    typer.echo(f"Checked: the file's logits are at most {difference:.1g} away from the model's")


def _tell(target: Path, lines: str) -> None:
    typer.echo(f"Written: {target}")
    typer.echo("Next: load it with\n\n" + "".join(f"  {line}\n" for line in lines.splitlines()))
