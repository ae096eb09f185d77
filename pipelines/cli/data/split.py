"""`naslora data split`: split a domain again, and show the result."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from naslora_core.data.dataset.card import SplitRule


def split(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    validation: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Share for validation.", show_default="as in dataset.yaml")
    ] = None,
    test: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Share for testing.", show_default="as in dataset.yaml")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws it.", show_default="as in dataset.yaml")] = None,
    stratify: Annotated[
        bool | None,
        typer.Option("--stratify/--no-stratify", help="Give every split a like mix of small and large objects."),
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option(help="Regular expression; what it finds in a name, such as the patient, stays together."),
    ] = None,
    keep_test: Annotated[bool, typer.Option("--keep-test", help="Leave the test images as they are.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace even published test images.")] = False,
) -> None:
    """Draw who trains, validates and tests; into splits.csv, and the rule into dataset.yaml.

    Images of one group, and images that are the same file, are never divided. A third column, group, in splits.csv
    names groups that names do not tell.
    """
    from naslora_core.data.curation.describe import class_shares, measure_masks
    from naslora_core.data.curation.resplit import resplit
    from naslora_core.data.dataset.card import read_card
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.data.dataset.empty_splits import explain_empty, explain_largest
    from pipelines.cli.data.domains import counts, find_domain
    from pipelines.cli.data.show import class_lines
    from stages.runner import ConsoleProgress

    root = find_domain(domain)
    before = {pair.name: pair.split for pair in read_dataset(root).pairs}
    rule = _changed(read_card(root).split, validation, test, seed, stratify, group_pattern)
    dataset = resplit(root, rule, keep_test, force, ConsoleProgress())
    moved = sum(before[pair.name] != pair.split for pair in dataset.pairs)
    groups = len({pair.group for pair in dataset.pairs})
    typer.echo(f"{root}: {counts(dataset)}, {groups} groups; {moved} pairs changed their split")
    drawn = {pair.name: pair.split for pair in dataset.pairs}, {pair.name: pair.group for pair in dataset.pairs}
    if why := explain_empty(*drawn) or explain_largest(*drawn):
        typer.echo(f"Note: {why}")
    shares = class_shares(dataset, measure_masks(dataset, ConsoleProgress()))
    for line in class_lines(shares, {one: len(dataset.of_split(one)) for one in next(iter(shares.values()))}):
        typer.echo(f"  {line}")
    typer.echo(f"Next: naslora data check {domain}, then naslora run --domain {domain}")


def _changed(
    rule: "SplitRule",
    validation: float | None,
    test: float | None,
    seed: int | None,
    stratify: bool | None,
    group_pattern: str | None,
) -> "SplitRule":
    """Return a random split rule with the requested changes, and the rest unchanged."""
    from pydantic import ValidationError

    from naslora_core.data.dataset.card import SplitRule
    from naslora_core.errors import ConfigError

    validation = rule.validation if validation is None else validation
    test = rule.test if test is None else test
    if (train := round(1 - validation - test, 4)) <= 0:
        raise ConfigError(f"--validation {validation:g} and --test {test:g} leave none to train on; lower one of them")
    is_stratified = rule.stratify is not None if stratify is None else stratify
    try:
        return SplitRule(
            kind="random",
            seed=rule.seed if seed is None else seed,
            train=train,
            validation=validation,
            test=test,
            stratify="foreground" if is_stratified else None,
            group_pattern=(rule.group_pattern if group_pattern is None else group_pattern) or None,
        )
    except ValidationError as error:
        raise ConfigError(f"--group-pattern: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
