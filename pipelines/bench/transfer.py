"""Rows of a bench table that train a given architecture, or one that another row has found on another domain."""

from pathlib import Path
from typing import Any

from naslora_core.adapters.budget.architecture import read_architecture
from naslora_core.config import NOTHING_GIVEN, Params
from naslora_core.errors import ConfigError
from stages.paths import StagePaths


def from_root(root: Path, params: Params) -> Params:
    """Return settings whose files do not depend on the working folder: base model, and given architecture."""
    model = params.model.model_copy(update={"checkpoint": root / params.model.checkpoint})
    search = params.search
    if search.from_ != NOTHING_GIVEN:
        search = search.model_copy(update={"from_": root / search.from_})
    return params.model_copy(update={"model": model, "search": search})


def with_architecture_of(params: Params, donor: StagePaths, domain: str) -> Params:
    """Return the settings of a row, to train what a trial finds on another domain instead of searching.

    Args:
        params: of the row that searches, for the domain to train on.
        donor: the trial of that row.
        domain: on which that searches.

    Raises:
        ConfigError: if the row does not search under a budget, so that there is no architecture to train.
    """
    search = params.search
    if params.adapter.method != "nas_lora" or search.budget == "none" or search.from_ != NOTHING_GIVEN:
        raise ConfigError(
            f"transfers names a row with adapter.method {params.adapter.method}, search.budget {search.budget} and "
            f"search.from {search.from_}, which finds no architecture; name one with nas_lora, a budget such as 1.02 "
            f"and {NOTHING_GIVEN}"
        )
    found = donor.output("search_train", domain) / "genotype.json"
    return params.model_copy(update={"search": search.model_copy(update={"budget": "none", "from_": found})})


def architecture_content(params: Params, donor: StagePaths | None) -> Any:
    """Return what stands for `search.from` where results are told apart: what is in the file, not where it lies.

    An architecture that is still to be found is all that decides it, which its trial is named by.

    Raises:
        ConfigError: if the file cannot be read.
    """
    if donor:
        return {"found by": donor.run}
    if (path := params.search.from_) == NOTHING_GIVEN:
        return path.as_posix()
    # A list: fresh weights are drawn in this order.
    return [[name, choice.model_dump()] for name, choice in read_architecture(path).items()]
