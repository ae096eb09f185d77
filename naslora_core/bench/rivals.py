"""Say in words what the rivals and transfers of a bench table are, and what they were given."""

from collections.abc import Mapping
from typing import Any


def describe_rivals(summary: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each rival on each domain, from what `summarise` returns; none if there are none."""
    return [
        _sentence(domain, name, row)
        for domain, rows in summary["domains"].items()
        for name, row in rows.items()
        if row.get("rival_of")
    ]


def describe_transfers(summary: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each transfer on each domain, from what `summarise` returns; none if there are none."""
    return [
        f"{domain}, {name}: trains the architecture that {row['transfer_of']} has found on {row['found_on']} with the "
        "same seed, from fresh weights and without a search."
        for domain, rows in summary["domains"].items()
        for name, row in rows.items()
        if row.get("transfer_of")
    ]


def _sentence(domain: str, name: str, row: Mapping[str, Any]) -> str:
    chosen = " or ".join(f"{rate:g}" for rate in row["learning_rates"])
    count = row["rates_tried"]
    how = (
        f"at the learning rate {chosen}, the only one of this table"
        if count == 1
        else f"of {count} learning rates, each trained for as long, the best on the validation images, here {chosen}"
    )
    cpu_s = row["train_cpu_seconds"]
    spent = "" if cpu_s is None else f" ({cpu_s:.0f} CPU seconds on the mean)"
    return (
        f"{domain}, {name}: a U-Net from scratch, trained for as long as {row['rival_of']} with the same seed{spent}; "
        f"{how}. It has no epochs and nothing to merge."
    )
