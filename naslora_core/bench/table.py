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
        rows: further settings by the name of a row.
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
    rows: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    rivals: dict[str, str] = Field(default_factory=dict)
    rival_rates: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = RATES
    paper: Paper | None = None

    @property
    def names(self) -> list[str]:
        """The names of all rows, rivals last."""
        return [*self.rows, *self.rivals]

    def row_settings(self, row: str) -> list[str]:
        """Return the settings of a row that is no rival, those of the whole table before its own."""
        return [*self.settings, *self.rows[row]]


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
    for rival, row in table.rivals.items():
        if rival in table.rows or row not in table.rows:
            raise ConfigError(
                f"{path}: rivals gives '{rival}' the time of '{row}'; write a new name and one of its rows "
                f"{', '.join(table.rows)}"
            )
    return table


def trainings_of(table: Table, only: Sequence[str] = ()) -> list[Training]:
    """Return the trainings of a table, seed by seed, so that an interrupted table is complete for its first seeds.

    A rival comes after the row whose time it gets.

    Args:
        table: with the domains and seeds that are wanted.
        only: names of trainings, "kvasir:conv_lora:seed=7"; empty is all.

    Raises:
        ConfigError: if a name is none of the table's.
    """
    trainings = [Training(d, row, seed) for seed in table.seeds for d in table.domains for row in table.names]
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
