"""The files of model versions: where they are, whether they are whole, and fetching and sending them through DVC."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from naslora_core.errors import NasLoraError, PipelineError
from naslora_core.files import file_sha256
from naslora_core.progress import Progress
from pipelines.models import transfer
from pipelines.models.history import previous_in_service
from pipelines.models.registry import ModelRegistry, ModelVersion, Record


class Place(Enum):
    """Where the files of a version are, as far as can be told without asking the remote."""

    HERE = "here"
    POINTER = "to be pulled"
    UNKNOWN = "not here"


@dataclass(frozen=True)
class Fetched:
    """The result of fetching: (domain, number) of the versions that came, and of those that were here already."""

    fetched: tuple[tuple[str, int], ...]
    here: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sent:
    """The result of sending: (domain, number) of the versions that the remote has now, and of those not here."""

    sent: tuple[tuple[str, int], ...]
    elsewhere: tuple[tuple[str, int], ...]


def place(registry: ModelRegistry, domain: str, version: ModelVersion) -> Place:
    """Return where the files of a version are; looks for names only, which `require_intact` does not."""
    folder = registry.files(domain, version.number)
    if all((folder / name).is_file() for name in version.files):
        return Place.HERE
    return Place.POINTER if transfer.pointer(folder).is_file() else Place.UNKNOWN


def require_intact(registry: ModelRegistry, domain: str, version: ModelVersion) -> None:
    """Check that every file of a version is here, and is the one that was registered.

    Raises:
        PipelineError: if not; names the first such file, and the command that brings it back.
    """
    folder = registry.files(domain, version.number)
    for name, expected in version.files.items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != expected:
            state = "is damaged" if path.is_file() else "is not here"
            raise PipelineError(f"{path} {state}; {remedy(registry, domain, version.number)}")


def remedy(registry: ModelRegistry, domain: str, number: int) -> str:
    """Say what to do about a version whose files are not here."""
    serves = registry.read(domain).serving == number
    if transfer.pointer(registry.files(domain, number)).is_file():
        return f"fetch it with: naslora models pull {domain}" + f" --version {number}" * (not serves)
    known = f"no registry/{domain}/{number}.dvc says where it is"
    elsewhere = f"in the checkout that has its files: naslora models push {domain}, then commit and push registry/"
    if serves:
        return f"{known}; {elsewhere}. If it is lost: naslora models withdraw {domain}"
    return f"{known}; {elsewhere}. Or choose another version from naslora models list {domain}"


def chosen_versions(record: Record, number: int | None, everything: bool) -> list[ModelVersion]:
    """Return the versions to fetch: one, all, or the one in service and the one that a rollback would take."""
    if number is not None:
        return [record.version(number)]
    if everything:
        return list(record.versions)
    before = previous_in_service(record)
    return [record.version(one) for one in (record.serving, before) if one is not None]


def pull(root: Path, domains: Sequence[str], number: int | None, everything: bool, progress: Progress) -> Fetched:
    """Fetch files of versions from DVC's cache or the default remote, and check them against the record.

    Raises:
        PipelineError: if some could not be fetched; what could be has been. Of a version that is not in service the
            lack is an error only if it was asked for.
    """
    registry = ModelRegistry(root)
    fetched: list[tuple[str, int]] = []
    here: list[tuple[str, int]] = []
    lacking: list[str] = []
    for done, domain in enumerate(domains):
        progress(done, len(domains), f"fetching models · {domain}")
        record = registry.read(domain)
        wanted: list[tuple[str, int]] = []
        for version in chosen_versions(record, number, everything):
            (here if _is_intact(registry, domain, version) else wanted).append((domain, version.number))
        known = [one for one in wanted if transfer.pointer(registry.files(*one)).is_file()]
        reason = _fetch(root, [registry.files(*one) for one in known]) if known else ""
        for one in wanted:
            if _is_intact(registry, domain, record.version(one[1])):
                fetched.append(one)
            elif number is not None or one[1] == record.serving:
                lacking.append(_lack(registry, one, reason if one in known else ""))
        progress(done + 1, len(domains), f"fetching models · {domain}")
    if lacking:
        raise PipelineError("\n".join(lacking))
    return Fetched(tuple(fetched), tuple(here))


def push(root: Path, domains: Sequence[str], progress: Progress) -> Sent:
    """Send files of all versions that are here to the default remote; writes pointers that are missing.

    Raises:
        PipelineError: if files are damaged, or dvc fails.
    """
    registry = ModelRegistry(root)
    sent: list[tuple[str, int]] = []
    elsewhere: list[tuple[str, int]] = []
    for domain in domains:
        for version in registry.read(domain).versions:
            is_here = place(registry, domain, version) is Place.HERE
            (sent if is_here else elsewhere).append((domain, version.number))
            folder = registry.files(domain, version.number)
            if is_here and not transfer.pointer(folder).is_file():
                require_intact(registry, domain, version)
                transfer.track(root, folder)
    if sent:
        progress(0, len(sent), "sending models")
        transfer.send(root, [registry.files(*one) for one in sent])
        progress(len(sent), len(sent), "sending models")
    return Sent(tuple(sent), tuple(elsewhere))


def _is_intact(registry: ModelRegistry, domain: str, version: ModelVersion) -> bool:
    folder = registry.files(domain, version.number)
    return all((folder / name).is_file() and file_sha256(folder / name) == sha for name, sha in version.files.items())


def _fetch(root: Path, folders: Sequence[Path]) -> str:
    """Fetch folders, and return why some are still missing; "" if none is."""
    try:
        transfer.fetch(root, folders)
    except NasLoraError as error:
        return str(error)
    return ""


def _lack(registry: ModelRegistry, lacking: tuple[str, int], reason: str) -> str:
    domain, number = lacking
    named = f"version {number} of '{domain}' is not here"
    if not reason:
        return f"{named}; {remedy(registry, domain, number)}"
    lost = f". If it is lost: naslora models withdraw {domain}" if registry.read(domain).serving == number else ""
    return f"{named}: {reason}; in the checkout that has its files: naslora models push {domain}{lost}"
