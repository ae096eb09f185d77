"""Whether a published experiment can be started here."""

from pathlib import Path

from naslora_core.bench.table import Table
from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError
from naslora_core.sam.checkpoint import require_checkpoint


def missing_for(root: Path, table: Table, model: ModelConfig) -> list[str]:
    """Return what is missing, each with how to get it; empty if nothing is."""
    lacking = []
    for domain in table.domains:
        if not (root / "data" / domain / "dataset.yaml").is_file():
            how = table.paper.data if table.paper else "bring it in with naslora data import"
            lacking.append(f"data/{domain} is missing: {how}")
    try:
        require_checkpoint(model)
    except CheckpointError as error:
        lacking.append(str(error))
    return lacking
