"""Bench tables: rows of settings on domains and seeds, read from a YAML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat

from naslora_core.config import DomainName, ModelConfig, Section
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.reading import parse_yaml
from naslora_core.sam.checkpoint import require_checkpoint

# Of a rival, unless a table names others.
RATES = (3e-4, 1e-3, 3e-3)


class Expected(Section):
    """A published score: its method, metric and place in the paper."""

    method: str
    metric: str
    value: str
    source: str


class Paper(Section):
    """What a published experiment needs, and the scores it reached.

    Attributes:
        data: where the images come from and how they are imported.
        hardware: on which it is meant to run.
        duration: expected, of one training.
        expected: published scores.
    """

    data: str
    hardware: str
    duration: str
    expected: tuple[Expected, ...]


class Table(Section):
    """A bench table: rows that are trained alike but for their own settings.

    Attributes:
        question: what the table answers.
        reference: the row the others are compared with.
        domains: folders of data/.
        seeds: each row is trained once with each.
        models: checkpoints by model name, the first being the default; empty takes that of params.yaml.
        settings: of all rows, as "train.epochs=8"; they replace those of params.yaml.
        domain_settings: further settings of all rows, by domain.
        rows: further settings by the name of a row, which come last.
        transfers: names of rows that train the architecture which another row has found under a budget on another
            domain, each with that row, whose settings they have.
        rival_rates: learning rates of a rival, of which the best by validation is taken.
        rivals: names of rows that are a U-Net from scratch, each with the row whose training time it gets.
        paper: the experiment this repeats, if it is a published one.
    """

    question: str
    reference: str
    domains: Annotated[tuple[DomainName, ...], Field(min_length=1)]
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    models: dict[str, Path] = Field(default_factory=dict)
    settings: tuple[str, ...] = ()
    domain_settings: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rows: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    transfers: dict[str, str] = Field(default_factory=dict)
    rivals: dict[str, str] = Field(default_factory=dict)
    rival_rates: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = RATES
    paper: Paper | None = None

    @property
    def names(self) -> list[str]:
        """The names of all rows: those with settings of their own, transfers, rivals."""
        return [*self.rows, *self.transfers, *self.rivals]

    def row_settings(self, row: str, domain: str | None = None) -> list[str]:
        """Return the settings of a row of `rows`: those of the table, of the domain if one is named, its own."""
        of_domain = () if domain is None else self.domain_settings.get(domain, ())
        return [*self.settings, *of_domain, *self.rows[row]]

    def donor_of(self, training: "Training") -> "Training":
        """Return the training on whose architecture a transfer is trained: on the next domain, with the same seed."""
        place = self.domains.index(training.domain) + 1
        return Training(self.domains[place % len(self.domains)], self.transfers[training.row], training.seed)


@dataclass(frozen=True)
class Training:
    """One training: a row of a table, on a domain, with a seed."""

    domain: str
    row: str
    seed: int

    def __str__(self) -> str:
        return f"{self.domain}:{self.row}:seed={self.seed}"


def load_table(path: Path) -> Table:
    """Read and check a table.

    Raises:
        ConfigError: if there is no such table, or it is not one; the message lists those there are.
    """
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path} not found; tables in {path.parent}: {known}")
    try:
        table = Table.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ConfigError(f"{path} is no table: {error}") from error
    if table.reference not in table.rows:
        raise ConfigError(f"{path}: reference '{table.reference}' is none of its rows {', '.join(table.rows)}")
    if elsewhere := [domain for domain in table.domain_settings if domain not in table.domains]:
        raise ConfigError(
            f"{path}: domain_settings names '{elsewhere[0]}', which is none of its domains {', '.join(table.domains)}"
        )
    for transfer, row in table.transfers.items():
        if transfer in table.rows or row not in table.rows:
            raise ConfigError(
                f"{path}: transfers gives '{transfer}' the architecture of '{row}'; write a new name and one of its "
                f"rows {', '.join(table.rows)}"
            )
    if table.transfers and len(set(table.domains)) < 2:
        raise ConfigError(
            f"{path}: transfers needs an architecture found on another domain, and domains has only "
            f"{table.domains[0]}; name a second one, or take transfers out"
        )
    for rival, row in table.rivals.items():
        if rival in {*table.rows, *table.transfers} or row not in table.rows:
            raise ConfigError(
                f"{path}: rivals gives '{rival}' the time of '{row}'; write a new name and one of its rows "
                f"{', '.join(table.rows)}"
            )
    return table


def trainings_of(table: Table, only: Sequence[str] = ()) -> list[Training]:
    """Return the trainings of a table, seed by seed, so that an interrupted table is complete for its first seeds.

    A rival comes after the row whose time it gets, transfers after all rows of their seed.

    Args:
        table: with the domains and seeds that are wanted.
        only: names of trainings, "kvasir:conv_lora:seed=7"; empty is all.

    Raises:
        ConfigError: if a name is none of the table's.
    """
    trainings = [Training(d, row, seed) for seed in table.seeds for d in table.domains for row in table.names]
    # Those of one domain need what is found on another.
    trainings.sort(key=lambda training: (table.seeds.index(training.seed), training.row in table.transfers))
    by_name = {str(training): training for training in trainings}
    if unknown := [name for name in only if name not in by_name]:
        raise ConfigError(
            f"--only {unknown[0]} is no cell of this table; write DOMAIN:ROW:seed=SEED with a domain of "
            f"{', '.join(table.domains)}, a row of {', '.join(table.names)} and a seed of "
            f"{', '.join(map(str, table.seeds))}; --domain and --seed add others"
        )
    return [by_name[name] for name in only] if only else trainings


def missing_for(root: Path, table: Table, model: ModelConfig) -> list[str]:
    """Return what a table needs and the project lacks, each with how to get it; empty if nothing is missing."""
    lacking = []
    for domain in table.domains:
        if not (root / "data" / domain / "dataset.yaml").is_file():
            how = table.paper.data if table.paper else "import it with naslora data import"
            lacking.append(f"data/{domain} is missing: {how}")
    try:
        require_checkpoint(model)
    except CheckpointError as error:
        lacking.append(str(error))
    return lacking
