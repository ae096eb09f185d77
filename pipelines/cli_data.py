"""`naslora data`: draw samples, bring in your own images, see what there is, check it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from naslora_core.data.dataset import Dataset
    from naslora_core.data.importers import ImportRequest

data_app = typer.Typer(
    help="Draw sample domains, bring in your own images, list and check what there is.", no_args_is_help=True
)
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of a domain that exists already.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the domains.", show_default="data/ of the project")]


@data_app.command(epilog="Example: naslora data sample --domain leaf_lesions --count 200 --replace")
def sample(
    domain: Annotated[
        list[str] | None, typer.Option(help="Which sample; may be given several times.", show_default="all")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images each.")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other images.")] = 7,
    output: Output = None,
    replace: Replace = False,
) -> None:
    """Draw sample domains: leaf lesions, polyps, surface cracks, with the troubles of real images."""
    from naslora_core.data.synthetic.domains import SAMPLE_DOMAINS
    from naslora_core.data.synthetic.generate import generate_domain
    from naslora_core.errors import DataError
    from stages.runner import ConsoleProgress

    folder = output or _data_folder()
    names = domain or list(SAMPLE_DOMAINS)
    for name in names:
        if SAMPLE_DOMAINS[name] and (folder / name).exists() and not replace:
            raise DataError(f"{folder / name} exists already; give --replace to draw it anew, or another --output")
    for name in names:
        dataset = generate_domain(name, folder / name, count, seed, replace, ConsoleProgress())
        typer.echo(f"{dataset.root}: {_counts(dataset)}")
    typer.echo(f"Next: naslora data check {' '.join(names)}")


@data_app.command("import", epilog="Example: naslora data import folder ~/weeds --name weeds --class weed")
def import_(
    layout: Annotated[str, typer.Argument(help="How the data is laid out: kvasir or folder.")],
    source: Annotated[
        str | None,
        typer.Argument(help="The folder to bring in; with --images and --masks, the name of the domain."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the domain.", show_default="that of the layout or folder")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images (layout folder).")] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of the masks (layout folder).")] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="What the masks mark, such as weed.")] = None,
    threshold: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="Least mask value that is foreground.", show_default="found out"),
    ] = None,
    validation: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share for validation.")] = 0.15,
    test: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share for testing.")] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Draws the split.")] = 7,
    pairs_only: Annotated[bool, typer.Option("--pairs-only", help="Leave out files without a partner.")] = False,
    enable: Annotated[bool, typer.Option(help="Add the domain to params.yaml.")] = True,
    output: Output = None,
    replace: Replace = False,
) -> None:
    """Copy images and masks into a domain of their own, divide them, and add it to params.yaml."""
    from naslora_core.data.enable import enable_domain
    from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset
    from stages.runner import ConsoleProgress

    importer = IMPORTERS[layout]
    folder, domain = _source_and_name(layout, source, name, images, masks)
    request = ImportRequest(folder, images, masks, threshold, class_name, seed, validation, test)
    target = (output or _data_folder()) / domain
    found = importer(request)
    dataset = import_dataset(found, request, target, replace, pairs_only, ConsoleProgress())
    typer.echo(f"{target}: {_counts(dataset)}")
    _tell_unpaired(dataset, request)
    if output is None and enable and enable_domain(target.parent.parent / "params.yaml", domain):
        typer.echo(f"params.yaml: '{domain}' added to domains")
    typer.echo(f"Next: naslora data check {domain}, then naslora run --domain {domain}")


@data_app.command("list", epilog="Example: naslora data list")
def list_() -> None:
    """Show every domain: how many pairs, what it shows, and whether naslora run includes it."""
    from naslora_core.config import load_params
    from naslora_core.data.dataset import read_dataset
    from naslora_core.errors import DataError
    from stages.paths import StagePaths

    paths = StagePaths(_data_folder().parent)
    enabled = load_params(paths.params).domains
    if not (names := sorted({*paths.domains(), *enabled})):
        typer.echo("No data yet.")
    width = max((len(name) for name in names), default=0)
    for name in names:
        try:
            dataset = read_dataset(paths.data(name))
            text = f"{_counts(dataset)}  {dataset.card.title}"
        except DataError as error:
            text = f"not usable: {error}"
        typer.echo(f"{'*' if name in enabled else ' '} {name:<{width}}  {text}")
    typer.echo("* is in domains of params.yaml and part of naslora run")
    typer.echo("Next: naslora data check, or naslora data import folder <folder> to add your own")


@data_app.command(epilog="Example: naslora data check leaf_lesions --limit 0")
def check(
    domains: Annotated[list[str] | None, typer.Argument(help="Which domains.", show_default="all")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many files each problem names; 0 is all.")] = 10,
) -> None:
    """Judge the data as naslora run would, without changing anything; exit code 1 if it is rejected."""
    from naslora_core.config import load_params
    from naslora_core.errors import DataError
    from naslora_core.quality.gate import check_dataset
    from stages.paths import StagePaths
    from stages.runner import ConsoleProgress, require_domain

    paths = StagePaths(_data_folder().parent)
    quality = load_params(paths.params).quality
    if not (names := list(domains or paths.domains())):
        raise DataError(f"{paths.root / 'data'} holds no domain; start with naslora data sample or naslora data import")
    for name in names:
        require_domain(paths, name)
    rejected = []
    for name in names:
        rest = f"the output of naslora data check {name} --limit 0"
        try:
            verdict, _ = check_dataset(paths.data(name), quality, ConsoleProgress())
        except DataError as error:
            rejected.append(str(error))
            continue
        if verdict.passed:
            typer.echo(verdict.message(rest, limit))
        else:
            rejected.append(verdict.message(rest, limit))
    if rejected:
        raise DataError("\n".join(rejected))
    typer.echo(f"Next: naslora run{f' --domain {names[0]}' if len(names) == 1 else ''}")


def _data_folder() -> Path:
    from pipelines.project import project_root

    return project_root() / "data"


def _source_and_name(
    layout: str, source: str | None, name: str | None, images: Path | None, masks: Path | None
) -> tuple[Path, str]:
    import re

    from naslora_core.errors import ConfigError

    if (images is None) != (masks is None):
        raise ConfigError("--images and --masks belong together; give both, or the folder that holds both")
    if images is not None:
        if layout != "folder":
            raise ConfigError(f"--images and --masks are for the layout folder; '{layout}' takes one folder")
        folder, domain = images.resolve().parent, name or source
        if domain is None:
            raise ConfigError("name the domain: naslora data import folder <name> --images DIR --masks DIR")
    elif source is None:
        raise ConfigError(f"name the folder to bring in: naslora data import {layout} <folder>")
    else:
        folder = Path(source).expanduser()
        own = re.sub(r"[^a-z0-9_-]+", "_", folder.resolve().name.lower()).strip("_-")
        domain = name or (own if layout == "folder" else layout)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", domain):
        raise ConfigError(f"'{domain}' cannot name a domain; use a-z, 0-9, dash and underscore: --name my_images")
    return folder, domain


def _counts(dataset: "Dataset") -> str:
    from naslora_core.data.splits import SPLITS

    parts = ", ".join(f"{len(dataset.of_split(split))} {split}" for split in SPLITS)
    return f"{len(dataset.pairs)} pairs ({parts})"


def _tell_unpaired(dataset: "Dataset", request: "ImportRequest") -> None:
    alone = [pair for pair in dataset.pairs if pair.image is None or pair.mask is None]
    if alone:
        names = ", ".join(pair.name for pair in alone[:5]) + (", …" if len(alone) > 5 else "")
        typer.echo(
            f"Note: {len(alone)} files of {request.folder} have no partner ({names}), which "
            "naslora data check will reject. Add the partners, or leave the files out, and import again: "
            "--replace, or --replace --pairs-only"
        )
