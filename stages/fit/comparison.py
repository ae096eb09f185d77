"""Compare the settings of a stage with those that its inputs were made with."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslora_core.config import Params
from naslora_core.errors import PipelineError
from naslora_core.reading import parse_yaml, read_object
from naslora_core.sam.specs import find_spec
from stages.fit.recorded import CLASSES, NAME, RECORDS, SIZE, VIEW, Reader, read_recorded
from stages.paths import StagePaths

_INPUTS: dict[str, tuple[str, ...]] = {
    "validate": (),
    "preprocess": ("validate",),
    "search_train": ("validate", "preprocess"),
    "merge": ("preprocess", "search_train"),
    "evaluate": ("search_train", "merge"),
    "report": ("validate", "search_train", "merge", "evaluate"),
}
# What a stage may have otherwise than the stages before it, as it uses it for something else: evaluate draws
# bootstrap samples with the seed.
_FREE = {"evaluate": ("seed",)}


@dataclass(frozen=True)
class Contradiction:
    """A setting, the value that is asked for, and the other value with which a file was made."""

    file: Path
    setting: str
    asked: Any
    recorded: Any


def in_yaml(value: Any) -> str:
    """Return a setting's value as it is written in params.yaml, on one line."""
    return value if isinstance(value, str) else json.dumps(value)


class Comparison:
    """Settings of one run beside those that the outputs of a domain's stages record.

    Args:
        domain: whose outputs.
        params: the settings of the run.
        paths: where the outputs lie.
        given: names of those that were given for this run alone.
    """

    def __init__(self, domain: str, params: Params, paths: StagePaths, given: Sequence[str]) -> None:
        self.params, self.paths, self._domain, self._given = params, paths, domain, given
        self._values = params.model_dump(mode="json")

    def contradictions(self, stage: str) -> Iterator[Contradiction]:
        """Yield what the stage's inputs record otherwise than its settings say, where that matters to it."""
        for source in _INPUTS[stage]:
            works_with = self._works_with(stage, source)
            for found in self.differences(source):
                is_free = found.setting in _FREE.get(stage, ())
                if not is_free and (found.setting in works_with or self._is_given(found.setting)):
                    yield found

    def differences(self, source: str) -> Iterator[Contradiction]:
        """Yield what a stage's output records otherwise than the settings say."""
        for name, reader in RECORDS[source].items():
            try:
                file = self.paths.source(source, self._domain) / name
            except PipelineError:
                return
            yield from self.differences_in(file, reader)

    def differences_in(self, file: Path, reader: Reader) -> Iterator[Contradiction]:
        """Yield what one file records otherwise than the settings say."""
        for setting, recorded in read_recorded(file, reader).items():
            asked = self._asked(setting)
            if asked is not None and recorded not in (None, asked):
                yield Contradiction(file, setting, asked, recorded)

    def in_words(self, setting: str, asked: Any) -> str:
        """Return a setting's value as params.yaml has it, and what it stands for."""
        if setting == CLASSES:
            return f"{in_yaml(asked)} in {self.paths.data(self._domain) / 'dataset.yaml'}"
        written = self._written(setting)
        if written == asked:
            return in_yaml(asked)
        return f"{written}, which is {asked}" + (f" for {self.params.model.name}" if setting == SIZE else "")

    def _works_with(self, stage: str, source: str) -> tuple[str, ...]:
        train = self.params.train
        if source == "validate":
            asks = {"preprocess": (train.view,), "search_train": (train.detail, train.loss)}.get(stage, ())
            return (SIZE,) if "auto" in asks else ()
        if stage == "search_train":
            return (SIZE, VIEW)
        return (NAME, SIZE, CLASSES) if stage in ("merge", "evaluate") else ()

    def _is_given(self, setting: str) -> bool:
        # Of a model's size its name decides, too, as long as it is native.
        names = (setting, NAME) if setting == SIZE else (setting,)
        return any(name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")
                   for name in names for key in self._given)  # fmt: skip

    def _written(self, setting: str) -> Any:
        value: Any = self._values
        for part in setting.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _asked(self, setting: str) -> Any:
        written = self._written(setting)
        if setting == SIZE:
            return find_spec(self.params.model.name, self.params.model.image_size).image_size
        if setting == VIEW and written == "auto":
            return self._suggested_view()
        # Only a training can tell what these stand for.
        if setting in ("train.detail", "train.loss") and written == "auto":
            return None
        return self._classes() if setting == CLASSES else written

    def _suggested_view(self) -> Any:
        try:
            return read_object(self.paths.source("validate", self._domain) / "view.json").get("view")
        except (PipelineError, OSError, ValueError):
            return None

    def _classes(self) -> Any:
        try:
            return parse_yaml((self.paths.data(self._domain) / "dataset.yaml").read_text(encoding="utf-8"))["classes"]
        # Data may be elsewhere by now; and whoever reads the card says what is wrong with it.
        except (OSError, ValueError, LookupError, TypeError):
            return None


def made_otherwise(params: Params, paths: StagePaths) -> dict[str, dict[str, Any]]:
    """Return, by setting and domain, the values with which results were made where they are not those of `params`."""
    found: dict[str, dict[str, Any]] = {}
    for domain in params.domains:
        known = Comparison(domain, params, paths, ())
        for one in (one for source in _INPUTS["report"] for one in known.differences(source)):
            found.setdefault(one.setting, {})[domain] = one.recorded
    return found
