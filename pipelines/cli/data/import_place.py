"""Where `naslora data import` reads from, and what the domain is called."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from naslora_core.errors import ConfigError


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """Yield the folder itself, or a temporary folder with the unpacked archive."""
    from naslora_core.data.importers.archive import is_archive, unpacked
    from stages.runner import ConsoleProgress

    if is_archive(place):
        with unpacked(place, progress=ConsoleProgress()) as folder:
            yield folder
    else:
        yield place


def place_of(
    layout: str, source: str | None, images: Path | None, masks: Path | None, pairs: Path | None
) -> tuple[Path, str | None]:
    """Return the path to import, and the name of the domain if the arguments give it.

    Raises:
        ConfigError: if the arguments name no place, or contradict each other.
    """
    if (images is None) != (masks is None):
        raise ConfigError("--images and --masks belong together; give both, or the folder that holds both")
    if images is not None:
        if pairs is not None:
            raise ConfigError("--pairs names the files itself; leave out --images and --masks")
        return images.resolve().parent, source
    if source is not None:
        return Path(source).expanduser(), None
    if pairs is not None:
        return pairs.resolve().parent, None
    raise ConfigError(f"name the folder to bring in: naslora data import {layout} <folder>")


def as_word(place: Path) -> str:
    """Return the name of a folder or an archive as a word of a-z, 0-9, dash and underscore."""
    from naslora_core.data.importers.archive import SUFFIXES

    own = place.resolve().name.lower()
    for suffix in SUFFIXES:
        own = own.removesuffix(suffix)
    return re.sub(r"[^a-z0-9_-]+", "_", own).strip("_-")


def domain_name(chosen: str, place: Path) -> str:
    """Return the name of the domain: the one that was chosen, or that of the folder or archive.

    Raises:
        ConfigError: if it cannot name a domain.
    """
    domain = chosen or as_word(place)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", domain):
        raise ConfigError(f"'{domain}' cannot name a domain; use a-z, 0-9, dash and underscore: --name my_images")
    return domain
