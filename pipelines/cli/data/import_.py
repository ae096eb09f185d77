"""`naslora data import`: import images and masks from a folder or an archive."""

import dataclasses
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from typer.core import TyperCommand

from naslora_core.errors import ConfigError, few
from pipelines.cli.data.domains import counts, data_folder

if TYPE_CHECKING:
    from naslora_core.data.dataset.dataset import Dataset
    from naslora_core.data.importers import Found

AUTO = "auto"


class OutlineKind(str, Enum):
    """Choices of --outline."""

    CENTRES = "centres"
    EDGES = "edges"


class VoidKind(str, Enum):
    """Choices of --void."""

    IGNORE = "ignore"
    BACKGROUND = "background"


class ImportCommand(TyperCommand):
    """The command class, whose help lists the layouts; they are loaded for this help only, to keep others fast."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, and a line for each layout."""
        from naslora_core.data.importers import IMPORTERS

        super().format_help(ctx, formatter)
        width = max(map(len, IMPORTERS))
        typer.echo(f"Layouts; {AUTO} finds out which of them it is:")
        for name in IMPORTERS:
            typer.echo(f"  {name:<{width}}  {IMPORTERS[name].summary}")


Layout = Annotated[str, typer.Argument(help="How the data is laid out: see below, or auto.")]
Source = Annotated[
    str | None,
    typer.Argument(help="Folder or archive (zip, tar, tar.gz); with --images and --masks, the name of the domain."),
]
Name = Annotated[str | None, typer.Option(help="Name of the domain.", show_default="that of the layout or folder")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images (layout folder).")]
Masks = Annotated[Path | None, typer.Option(help="Folder of the masks (layout folder).")]
Pairs = Annotated[
    Path | None, typer.Option(help="CSV file with the columns image,mask and maybe split,group (layout folder).")
]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="What masks mark: weed; several with their values or colours: crop=1 weed=2."),
]
Threshold = Annotated[
    int | None, typer.Option(min=1, max=255, help="Least mask value that is foreground.", show_default="found out")
]
Reading = Annotated[
    str | None,
    typer.Option(
        metavar="grey|values|colours|instances|alpha",
        help="What mask files hold: grey to cut, values or colours of classes, numbers of objects, or alpha.",
        show_default="found out",
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option(help="Mask values or colours that nobody labelled: 255, or several: 254,255.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show how the masks are read or painted, and import nothing.")]
Tile = Annotated[
    int | None, typer.Option(min=64, help="Cut large images into squares of so many pixels (layout roads).")
]
Outlines = Annotated[
    OutlineKind | None,
    typer.Option(
        help="Corners of outlines are pixels (centres), or lie between pixels (edges); layouts coco, "
        "yolo, cvat, datumaro and label_studio.",
        show_default="yolo: centres, coco: as its areas say, others: edges",
    ),
]
Void = Annotated[
    VoidKind | None,
    typer.Option(
        help="Pixels of no segment are left out (ignore), or show no object (background); layout coco_panoptic.",
        show_default="ignore, if they are few",
    ),
]
Bands = Annotated[
    str | None,
    typer.Option(help="Which bands are shown: 4,3,2 as red, green and blue, or one in grey.", show_default="found out"),
]
Range = Annotated[
    str | None,
    typer.Option(
        "--range",
        help="Which values of images of more than 8 bits are black and white: auto, LOW:HIGH, or 0.1%:99.9% of each.",
        show_default="proposed",
    ),
]
_KEPT = "as before, or {}"
Validation = Annotated[
    float | None,
    typer.Option(min=0.01, max=0.9, help="Share for validation.", show_default=_KEPT.format(0.15)),
]
Test = Annotated[
    float | None, typer.Option(min=0.01, max=0.9, help="Share for testing.", show_default=_KEPT.format(0.15))
]
Seed = Annotated[int | None, typer.Option(min=0, help="Draws the split.", show_default=_KEPT.format(7))]
PairsOnly = Annotated[bool, typer.Option("--pairs-only", help="Leave out files without a partner.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave odd lines and files out, and list them.")]
Bare = Annotated[bool, typer.Option("--no-mask-is-empty", help="An image without a mask shows no object.")]
Add = Annotated[bool, typer.Option("--add", help="Add to a domain that exists, such as another export of one project.")]
Enable = Annotated[bool, typer.Option(help="Add the domain to params.yaml.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the domains.", show_default="data/ of the project")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of a domain that exists already.")]


def import_(
    layout: Layout,
    source: Source = None,
    name: Name = None,
    images: Images = None,
    masks: Masks = None,
    pairs: Pairs = None,
    classes: Classes = None,
    threshold: Threshold = None,
    outline: Outlines = None,
    void: Void = None,
    reading: Reading = None,
    ignore: Ignore = None,
    tile: Tile = None,
    bands: Bands = None,
    value_range: Range = None,
    validation: Validation = None,
    test: Test = None,
    seed: Seed = None,
    pairs_only: PairsOnly = False,
    skip_bad: SkipBad = False,
    no_mask_is_empty: Bare = False,
    add: Add = False,
    enable: Enable = True,
    output: Output = None,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Copy images and masks into a domain of their own, divide them, and add it to params.yaml."""
    from naslora_core.data.importers import (
        IMPORTERS,
        ImportRequest,
        LeftOut,
        add_dataset,
        check_addable,
        check_free,
        import_dataset,
        recognise,
    )
    from naslora_core.data.importers.image_range import with_image_reading
    from naslora_core.data.importers.painting.paint_report import PaintReport, paint_found
    from naslora_core.data.importers.shared.class_options import parse_class_options, parse_ignored, parse_reading
    from pipelines.cli.data.reading import print_painted
    from pipelines.run.enable_domain import enable_domain
    from stages.runner import ConsoleProgress

    if add and replace:
        raise ConfigError("--add keeps what the domain has, --replace takes its place; give one of them")
    importer = None if layout == AUTO else IMPORTERS[layout]
    place, given = _place(layout, source, images, masks, pairs)
    named = parse_class_options(classes or [])
    with _opened(place) as folder:
        importer = importer or recognise(folder)
        domain = _domain_name(name or given or (importer.name if importer.home else ""), place)
        target = (output or data_folder()) / domain
        if add:
            check_addable(target)
        elif not dry_run:
            check_free(target, replace)
        request = ImportRequest(
            folder,
            images,
            masks,
            pairs,
            threshold,
            named,
            bands=_band_numbers(bands),
            value_range=value_range,
            tile_px=tile,
            seed=seed,
            validation=validation,
            test=test,
            outline=cast('Literal["centres", "edges"] | None', outline and outline.value),
            void=cast('Literal["ignore", "background"] | None', void and void.value),
            reading=parse_reading(reading),
            ignore=parse_ignored(ignore or []),
            progress=ConsoleProgress(),
            bare_is_empty=no_mask_is_empty,
            left_out=LeftOut(skip_bad),
        )
        if layout == AUTO:
            typer.echo(f"{place}: layout {importer.name} ({importer.summary})")
        found = with_image_reading(importer(request), request, target, ConsoleProgress())
        found = _show_reading(found, target, dry_run)
        report = paint_found(found) if dry_run else PaintReport()
        if dry_run:
            print_painted(report, found.classes)
            for line in (*(f"Note: {one}" for one in report.lines()), *request.left_out.lines()):
                typer.echo(line)
            typer.echo("Nothing was imported: --dry-run")
            return
        # Before the temporary folder of an archive is gone.
        beside = _unused(found, importer.name == "folder")
        if add:
            dataset, notes = add_dataset(found, request, target, _word(place), pairs_only, ConsoleProgress(), report)
            found = dataclasses.replace(found, notes=(*found.notes, *notes))
        else:
            dataset = import_dataset(found, request, target, replace, pairs_only, ConsoleProgress(), report)
    print_painted(report, found.classes)
    typer.echo(f"{target}: {counts(dataset)}")
    if dataset.card.image is not None:
        typer.echo(f"Images are read by {dataset.card.image} in dataset.yaml")
    _print_notes(found)
    _print_splits(dataset, found, place, added=add)
    for line in (
        *(f"Note: {one}" for one in report.lines()),
        *[f"Note: {beside}"] * bool(beside),
        *request.left_out.lines(),
    ):
        typer.echo(line)
    if output is None and enable and enable_domain(target.parent.parent / "params.yaml", domain):
        typer.echo(f"params.yaml: '{domain}' added to domains")
    typer.echo(f"Next: naslora data check {domain}, then naslora run --domain {domain}")


def _band_numbers(given: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in given.split(",")) if given else ()
    except ValueError as error:
        raise ConfigError(f"--bands is '{(given or '')[:40]}'; give numbers from 1 on, as 4,3,2") from error


@contextmanager
def _opened(place: Path) -> Iterator[Path]:
    """Yield the folder itself, or a temporary folder with the unpacked archive."""
    from naslora_core.data.importers.archive import is_archive, unpacked
    from stages.runner import ConsoleProgress

    if is_archive(place):
        with unpacked(place, progress=ConsoleProgress()) as folder:
            yield folder
    else:
        yield place


def _place(
    layout: str, source: str | None, images: Path | None, masks: Path | None, pairs: Path | None
) -> tuple[Path, str | None]:
    """Return the path to import, and the name of the domain if the arguments give it."""
    if (images is None) != (masks is None):
        raise ConfigError("--images and --masks belong together; give both, or the folder that holds both")
    if images is not None:
        if pairs is not None:
            raise ConfigError("--pairs names the files itself; leave out --images and --masks")
        return images.resolve().parent, source
    if source is not None:
        return Path(source).expanduser(), None
    if pairs is not None:
        return pairs.resolve().parent, None
    raise ConfigError(f"name the folder to bring in: naslora data import {layout} <folder>")


def _word(place: Path) -> str:
    """Return the name of a folder or an archive as a word of a-z, 0-9, dash and underscore."""
    from naslora_core.data.importers.archive import SUFFIXES

    own = place.resolve().name.lower()
    for suffix in SUFFIXES:
        own = own.removesuffix(suffix)
    return re.sub(r"[^a-z0-9_-]+", "_", own).strip("_-")


def _unused(found: "Found", plain: bool) -> str:
    from naslora_core.data.importers import unused_files

    files = (path for source in found.sources for path in (source.image, source.mask) if isinstance(path, Path))
    return unused_files(set(files), plain)


def _domain_name(chosen: str, place: Path) -> str:
    domain = chosen or _word(place)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", domain):
        raise ConfigError(f"'{domain}' cannot name a domain; use a-z, 0-9, dash and underscore: --name my_images")
    return domain


def _show_reading(found: "Found", target: Path, dry_run: bool) -> "Found":
    """Print how the masks are read, draw them into a contact sheet, and return `found` with it."""
    from naslora_core.data.importers.reading.read_masks import describe
    from pipelines.cli.data.reading import READINGS_FOLDER, print_reading, write_reading_sheet
    from stages.runner import ConsoleProgress

    if understood := describe(found, ConsoleProgress()):
        print_reading(understood)
        found = dataclasses.replace(found, understood=understood)
    if any(source.image is not None and source.mask is not None for source in found.sources):
        # Of a dry run, nothing may stay in the project.
        folder = Path(tempfile.mkdtemp(prefix="naslora-")) if dry_run else target.parent / READINGS_FOLDER
        sheet = write_reading_sheet(folder / f"{target.name}.jpg", found, target.name)
        typer.echo(f"Look at {sheet}: are these the objects?")
    if dry_run:
        _print_notes(found)
    return found


def _print_notes(found: "Found") -> None:
    """Print what the importer decided or left out."""
    for note in found.notes:
        typer.echo(f"Note: {note}")


def _print_splits(dataset: "Dataset", found: "Found", place: Path, added: bool) -> None:
    """Print what was drawn, is held back or has no partner."""
    from naslora_core.data.curation.quarantine_record import read_quarantine
    from naslora_core.data.dataset.empty_splits import explain_empty, explain_largest
    from naslora_core.data.dataset.splits import SPLITS
    from naslora_core.data.importers import missing_splits

    if not added and 0 < len(missing := missing_splits(found.sources)) < len(SPLITS):
        drawn = " and ".join(f"{len(dataset.of_split(split))} for {split}" for split in missing)
        typer.echo(f"Note: {drawn} were drawn from the training images: that part of the split is not published")
    splits, groups = ({pair.name: getattr(pair, field) for pair in dataset.pairs} for field in ("split", "group"))
    if why := explain_empty(splits, groups) or explain_largest(splits, groups):
        typer.echo(f"Note: {why}")
    if held := read_quarantine(dataset.root):
        typer.echo(
            f"Note: {len(held)} pairs stay in quarantine; naslora data restore {dataset.card.name} brings them back"
        )
    alone = [pair for pair in dataset.pairs if pair.image is None or pair.mask is None]
    if alone:
        typer.echo(
            f"Note: {len(alone)} files of {place} have no partner ({few(one.name for one in alone)}), which "
            "naslora data check will reject. Add the partners, or leave the files out, and import again: --replace, or "
            "--replace --pairs-only"
        )
