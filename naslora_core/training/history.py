"""What a training run tells about itself, epoch by epoch."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from naslora_core.adapters import Adapter
from naslora_core.genotype import searched_edges


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; `arch_loss` is None where no architecture step was taken, Dice is 0..1."""

    epoch: int
    train_loss: float
    arch_loss: float | None
    validation_dice: float
    lr: float
    seconds: float


@dataclass(frozen=True)
class AlphaRecord:
    """The share of one operation in one layer after an epoch; epoch 0 is the start."""

    epoch: int
    layer: str
    primitive: str
    weight: float


def record_alphas(epoch: int, adapters: Mapping[str, Adapter]) -> list[AlphaRecord]:
    """Return the shares of all operations of all searched layers, named as by `searched_edges`."""
    return [
        AlphaRecord(epoch, name, primitive, round(weight, 6))
        for name, op in searched_edges(adapters).items()
        for primitive, weight in zip(op.space, op.op_weights.tolist(), strict=True)
    ]


def write_records(path: Path, kind: type, records: Sequence[EpochRecord] | Sequence[AlphaRecord]) -> None:
    """Write records as CSV; the header is there even if there are none."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)
