"""The history of a training run: one row per epoch, and the operations' shares after each."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from naslora_core.adapted.genotype import searched_edges
from naslora_core.adapted.searched_layers import normalised_entropy
from naslora_core.adapters import Adapter
from naslora_core.adapters.budget.layer import ChoosingLayer


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; Dice is 0..1.

    Attributes:
        arch_loss: None where no architecture step was taken by itself.
        lr: the last of the epoch, that of the adapters where there are any.
        decoder_lr: that of the mask decoder.
        arch_lr: that of the alphas; None before their first step.
        alpha_entropy: from 1, all operations have equal shares, to 0, every layer has chosen one; None without
            a search.
        seconds: that it took; the only one that differs between two runs of the same.
        skipped_steps: those left out because their loss or gradients were not finite; they count in no loss.
    """

    epoch: int
    train_loss: float
    arch_loss: float | None
    validation_dice: float
    lr: float
    decoder_lr: float
    arch_lr: float | None
    alpha_entropy: float | None
    seconds: float
    skipped_steps: int = 0


@dataclass(frozen=True)
class AlphaRecord:
    """The share of one operation in one layer after an epoch; epoch 0 is the start."""

    epoch: int
    layer: str
    primitive: str
    weight: float


# Called after every epoch; in a run that was interrupted, first for the epochs before, so that it misses none.
OnEpoch = Callable[[EpochRecord, Sequence[AlphaRecord]], None]


def ignore_epoch(epoch: EpochRecord, alphas: Sequence[AlphaRecord]) -> None:
    """Ignore an epoch; the default."""


def record_alphas(epoch: int, adapters: Mapping[str, Adapter]) -> list[AlphaRecord]:
    """Return the shares of all operations of all searched layers, named as by `searched_edges`.

    Under a budget the rank that each projection may still have follows, as 1 for "rank 8", say, and 0 for all others;
    the projection's name is added: "image_encoder.blocks.0.attn.qkv:q".
    """
    operations = [
        AlphaRecord(epoch, name, primitive, round(weight, 6))
        for name, op in searched_edges(adapters).items()
        for primitive, weight in zip(op.space, op.op_weights.tolist(), strict=True)
    ]
    ranks = [
        AlphaRecord(epoch, f"{name}:{section}", f"rank {rank}", float(layer.caps[section] == rank))
        for name, layer in adapters.items()
        if isinstance(layer, ChoosingLayer)
        for section in layer.sections
        for rank in layer.levels
    ]
    return operations + ranks


def alpha_entropy(adapters: Mapping[str, Adapter]) -> float | None:
    """Return the normalised entropy of the operations' shares, mean over the searched layers; None without any."""
    edges = [op.op_weights.detach().cpu().numpy() for op in searched_edges(adapters).values()]
    entropies = [normalised_entropy(shares) for shares in edges if len(shares) > 1]
    return round(sum(entropies) / len(entropies), 6) if entropies else None


def write_records(path: Path, kind: type, records: Sequence[EpochRecord] | Sequence[AlphaRecord]) -> None:
    """Write records as CSV, without times: the same run gives the same bytes.

    The header is there even if there are no records.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = [field.name for field in fields(kind) if field.name != "seconds"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)
