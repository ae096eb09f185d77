"""Tell the JSON files of annotation tools apart without reading them, and read them with one kind of error."""

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from naslora_core.errors import DataError

# A folder that holds a layout shows it in its first files; others may hold a hundred thousand.
_MOST_LOOKED_AT = 20


def has_keys(file: Path, keys: Iterable[str], first: bytes = b"{") -> bool:
    """Say whether a file begins with a character and holds some keys of JSON, without reading it as JSON."""
    if file.name.startswith(".") or not file.is_file() or not file.stat().st_size:
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begins = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(first)
        return begins and all(content.find(f'"{key}"'.encode()) >= 0 for key in keys)


def files_of(folder: Path, suffix: str) -> Iterator[Path]:
    """Yield the files with a suffix in a folder, then those in the folders in it, each sorted."""
    for pattern in ("*", "*/*"):
        yield from sorted(folder.glob(f"{pattern}{suffix}"))


def first_files(folder: Path, suffix: str) -> list[Path]:
    """Return a few of `files_of`, of the folder and of the folders in it, enough to see what they are."""
    return [
        file for pattern in ("*", "*/*") for file in sorted(islice(folder.glob(f"{pattern}{suffix}"), _MOST_LOOKED_AT))
    ]


def reason_of(error: Exception) -> str:
    """Return what was wrong with the content of a file; of a key that is not there, Python says the key alone."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


@contextmanager
def telling(file: Path, form: str) -> Iterator[None]:
    """Turn what goes wrong where a file is read into a DataError that names the file and its form."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"{file} is not sound {form}: {reason_of(error)[:300]}; export it again") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}; look at its permissions and its disk") from error
