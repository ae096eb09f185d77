"""The model registry: all versions of a domain, and all decisions on them; one JSON file per domain, kept in git.

GTO would keep this in git tags, one commit per trained model; a nightly run must not commit in a person's name.
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from naslora_core.config import DomainName, Section
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.files import write_json
from naslora_core.reading import read_model
from pipelines.models.conflicts import require_no_conflict

FORMAT: Literal[1] = 1
Action = Literal["promoted", "kept", "rolled back", "withdrawn"]


class ModelVersion(Section):
    """A trained model and what it was made from.

    Attributes:
        number: counts the models of a domain from 1.
        created: when it was registered, ISO 8601 in UTC.
        identity: MD5 of its weights, as dvc.lock and the cache know them.
        files: SHA-256 by file name, of all that is kept of it.
        data: version of the data: the hash in data.dvc, the SHA-256 of the domain, pairs per split.
        params: every setting that had a part in it.
        code: git revision, with "+changes" where files differed from it; "unknown" outside git.
        base: name, SHA-256 and image size of the pre-trained model.
        seeds: all it depends on.
        certificate: what merging the adapter changed.
        metrics: means over the test images, by metric.
        yardstick: what these were measured with (see `pipelines.models.score_fingerprint`).
        training: what the training says of itself: epochs, whether it had a warm start; and how long it took, if known.
    """

    number: PositiveInt
    created: str
    identity: str
    files: dict[Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9_.]*[A-Za-z0-9]$")], str]
    data: dict[str, Any]
    params: dict[str, Any]
    code: str
    base: dict[str, Any]
    seeds: list[int]
    certificate: dict[str, Any]
    metrics: dict[str, float]
    yardstick: str
    training: dict[str, Any]


class Event(Section):
    """A decision on a version: time, action, the version in service until then, and reason."""

    time: str
    action: Action
    version: PositiveInt
    previous: PositiveInt | None
    reason: str


class Record(Section):
    """All versions of a domain, oldest first, and all decisions."""

    format: Literal[1] = FORMAT
    domain: DomainName
    serving: PositiveInt | None = None
    versions: tuple[ModelVersion, ...] = ()
    events: tuple[Event, ...] = ()

    def version(self, number: int) -> ModelVersion:
        """Return a version.

        Raises:
            ConfigError: if there is none of this number; the message lists those there are.
        """
        for version in self.versions:
            if version.number == number:
                return version
        numbers = ", ".join(str(version.number) for version in self.versions) or "none yet"
        raise ConfigError(f"'{self.domain}' has no version {number}; known: {numbers}. See naslora models list")

    def find(self, identity: str) -> ModelVersion | None:
        """Return the newest version with these weights, if there is one."""
        return next((version for version in reversed(self.versions) if version.identity == identity), None)

    def decision_on(self, number: int) -> Event | None:
        """Return the last decision on a version, if there is one."""
        return next((event for event in reversed(self.events) if event.version == number), None)

    @property
    def in_service(self) -> ModelVersion | None:
        """The version in service, if any."""
        return None if self.serving is None else self.version(self.serving)

    def with_version(self, version: ModelVersion) -> "Record":
        """Return the record with one more version."""
        return self.model_copy(update={"versions": (*self.versions, version)})

    def decided(self, action: Action, number: int, reason: str) -> "Record":
        """Return the record with one more decision: "withdrawn" leaves none in service, "kept" the one there is."""
        event = Event(time=utc_now(), action=action, version=number, previous=self.serving, reason=reason)
        serving = {"kept": self.serving, "withdrawn": None}.get(action, number)
        return self.model_copy(update={"serving": serving, "events": (*self.events, event)})


class ModelRegistry:
    """The records of a project, and the files of every version.

    Args:
        root: the project's folder; records are registry/<domain>.json, files lie in registry/<domain>/<number>/, which
            DVC keeps, and git their pointers registry/<domain>/<number>.dvc.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "registry"

    def files(self, domain: str, number: int) -> Path:
        """Return the folder with the files of a version."""
        return self._folder / domain / str(number)

    def domains(self) -> list[str]:
        """Return the domains that have a record, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def read(self, domain: str) -> Record:
        """Return the record of a domain; an empty one if it has none yet.

        Raises:
            PipelineError: if the file is damaged, of another format, or in conflict.
        """
        path = self._path(domain)
        if not path.is_file():
            return Record(domain=domain)
        require_no_conflict(self._root, path)
        remedy = f"restore it with: git checkout HEAD -- {path.relative_to(self._root)}"
        return read_model(path, Record, FORMAT, remedy, PipelineError, fault="is no record of models")

    def write(self, record: Record) -> None:
        """Replace the record of a domain, atomically."""
        write_json(self._path(record.domain), record.model_dump(mode="json"))

    def _path(self, domain: str) -> Path:
        return self._folder / f"{domain}.json"


def next_number(record: Record) -> int:
    """Return the number of the version that comes next."""
    return max((version.number for version in record.versions), default=0) + 1


def utc_now() -> str:
    """Return the time, ISO 8601 in UTC to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Say which settings differ, as "train.lr: 0.002 → 0.001"."""
    lines: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += difference(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before} → {after}")
    return lines
