"""`naslora export`: results in the formats of other projects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Literal

import typer

export_app = typer.Typer(
    help="Write a result in the format of another project: segment-anything, Hugging Face, ONNX, torch.export.",
    no_args_is_help=True,
)


class Quantise(str, Enum):
    """In which numbers an ONNX file computes, instead of float32."""

    fp16 = "fp16"
    int8 = "int8"


Domain = Annotated[str, typer.Option(help="Which domain's model.")]
Opset = Annotated[int, typer.Option(help="Version of ONNX's operators.")]
Kind = Annotated[
    Quantise | None, typer.Option(help="A smaller file, and a certificate of its masks.", show_default="float32")
]
LeastIou = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="With --quantise: mean IoU its masks need.", show_default="0.98 for fp16, 0.95 for int8"
    ),
]
Run = Annotated[str | None, typer.Option(help="Take it from runs/RUN.", show_default="the pipeline's own")]
Package = Annotated[
    Literal["segment-anything", "transformers"], typer.Option("--for", help="Whose SAM the LoRA is put onto.")
]
Force = Annotated[bool, typer.Option("--force", help="Take the place of an earlier export.")]


@dataclass(frozen=True)
class Format:
    """A format of another project.

    Args:
        exporter: what writes it, as "module:function"; loaded when the command runs.
        suffix: of what is written, after the name of the domain.
        example: for --out.
        help: of the command.
        files: names of the files in the folder that is written, as "module:name"; "" if it is one file.
        stage: whose output is exported.
        is_onnx: whether there are the options --opset, --quantise and --min-iou.
        has_package: whether there is a --for.
        notice: printed before work that takes long.
    """

    exporter: str
    suffix: str
    example: str
    help: str
    files: str = ""
    stage: str = "merge"
    is_onnx: bool = False
    has_package: bool = False
    notice: str = ""


FORMATS = {
    "sam": Format(
        "naslora_core.export.sam_checkpoint:export_sam_checkpoint", ".pth", "leaves.pth",
        """Write the merged model as a checkpoint that segment-anything loads.

        For models merged with exact or calibrated: the file has nothing but SAM's own tensors. A detail path is left
        out; what that costs in validation Dice stands above the lines that are printed.
        """,
    ),
    "hf": Format(
        "naslora_core.export.hf_folder:export_hf_folder", "_hf", "leaves_hf",
        """Write the merged model as a folder that Hugging Face transformers loads: SamModel.from_pretrained(FOLDER).

        For models merged with exact or calibrated, of any image size; nothing is fetched when it is loaded. A detail
        path is left out.
        """,
        files="naslora_core.export.hf_folder:FILES",
    ),
    "peft": Format(
        "naslora_core.export.peft_folder:export_peft_folder", "_peft", "leaves_lora",
        """Write the merged model as a LoRA that Hugging Face PEFT puts onto the original SAM.

        For models merged with exact or calibrated. The trained mask decoder goes with it. --for transformers writes it
        for SamModel in place of segment-anything's Sam.
        """,
        files="naslora_core.export.peft_folder:FILES", has_package=True,
    ),
    "adapter": Format(
        "naslora_core.export.adapter_folder:export_adapter_folder", "_adapter", "leaves_adapter",
        "Copy the adapter as it was trained, its mask decoder and their description; every model has these.",
        files="naslora_core.adapted.saved:FILES", stage="search_train",
    ),
    "onnx": Format(
        "naslora_core.export.onnx_file:export_onnx", ".onnx", "leaves.onnx",
        """Write the merged model as one ONNX file: pixels in, logits and probabilities out, for any batch.

        For every way of merging and any number of classes. ONNX Runtime computes test images with the file before it is
        put in place, and its logits have to be those of the model to 0.001. A file of --quantise is put in place if its
        masks agree with those of float32 on the validation images.
        """,
        is_onnx=True, notice="converting, a minute or two …",
    ),
    "torch": Format(
        "naslora_core.export.torch_program:export_torch_program", ".pt2", "leaves.pt2",
        """Write the merged model as a program for torch.export.load, which needs nothing of naslora.

        Checked as ONNX files are. Only load .pt2 files you trust: loading one may unpickle what is in it.
        """,
    ),
}  # fmt: skip


def _command(form: Format) -> Callable[..., None]:
    what = "The folder." if form.files else "The file."
    target = typer.Option(None, help=what, show_default=f"DOMAIN{form.suffix}")

    def command(domain: Domain, out: Path | None = target, run: Run = None, force: Force = False) -> None:
        _export(form, domain, out, run, force)

    def onnx_command(
        domain: Domain,
        out: Path | None = target,
        opset: Opset = 18,
        quantise: Kind = None,
        min_iou: LeastIou = None,
        run: Run = None,
        force: Force = False,
    ) -> None:
        if quantise is not None:
            _export_quantised(domain, out, run, force, opset, quantise.value, min_iou)
        elif min_iou is not None:
            raise typer.BadParameter(
                "it says how much a quantised file may differ; add --quantise", param_hint="--min-iou"
            )
        else:
            _export(form, domain, out, run, force, opset)

    def command_with_package(
        domain: Domain,
        out: Path | None = target,
        package: Package = "segment-anything",
        run: Run = None,
        force: Force = False,
    ) -> None:
        _export(form, domain, out, run, force, package)

    if form.has_package:
        return command_with_package
    return onnx_command if form.is_onnx else command


for _name, _form in FORMATS.items():
    _example = f"Example: naslora export {_name} --domain leaf_lesions --out {_form.example}"
    export_app.command(_name, help=_form.help, epilog=_example)(_command(_form))


def _export(form: Format, domain: str, out: Path | None, run: str | None, force: bool, *options: int | str) -> None:
    export = resolve_name(form.exporter)
    target = out or Path(f"{domain}{form.suffix}")
    source = _source(form.stage, domain, run)
    if form.files:
        _check_folder(target, resolve_name(form.files), force)
    else:
        _check_file(target, force)
    if form.notice:
        typer.echo(form.notice)
    lines = export(source, target, *options)
    if not isinstance(lines, str):
        typer.echo(f"Checked: the file's logits are at most {lines.difference:.1g} away from the model's")
        lines = lines.lines
    typer.echo(f"Written: {target}")
    _show(lines)


def _export_quantised(
    domain: str, out: Path | None, run: str | None, force: bool, opset: int, kind: str, least_iou: float | None
) -> None:
    from naslora_core.export.onnx_quantised import certificate_file, export_quantised

    target = out or Path(f"{domain}.{kind}.onnx")
    source, prepared = _source("merge", domain, run), _source("preprocess", domain, run)
    for path in (target, certificate_file(target)):
        _check_file(path, force)
    typer.echo(FORMATS["onnx"].notice)
    exported = export_quantised(source, target, prepared, kind, opset, least_iou)
    typer.echo(f"Checked: {exported.certificate.summary()}")
    typer.echo(f"Written: {target}, and its certificate {exported.certificate_file}")
    _show(exported.lines)


def _show(lines: str) -> None:
    # Not indented, which Python would take for an error when they are pasted.
    typer.echo(f"Next: load it with\n\n{lines}\n")


def _source(stage: str, domain: str, run: str | None) -> Path:
    from pipelines.run.inputs import project_root
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
