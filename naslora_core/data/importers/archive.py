"""Unpack archives into a temporary folder, without trusting their names, sizes and links.

Of what members are, only folders and plain files are made; a link within the archive becomes a copy of what it points
to. So nothing that is unpacked can lead out of the folder, whatever comes after it.
"""

import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to; compressed images hardly shrink in it, uncompressed masks may shrink a lot.

    Attributes:
        members: most files and folders.
        ratio: most bytes for each byte of the archive.
        free_bytes: as much is allowed whatever the archive's size.
        total_bytes: most bytes in all.
    """

    members: int = 500_000
    ratio: int = 100
    free_bytes: int = 64 << 20
    total_bytes: int = 1 << 40

    def of(self, archive: Path) -> int:
        """Return how many bytes an archive may unpack to."""
        return min(self.total_bytes, max(self.free_bytes, self.ratio * archive.stat().st_size))


def is_archive(path: Path) -> bool:
    """Say whether a path is a file that `unpacked` takes, by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


@contextmanager
def unpacked(archive: Path, limits: Limits | None = None, progress: Progress = silent) -> Iterator[Path]:
    """Yield a temporary folder with the unpacked archive; it is removed afterwards, also after an error.

    Args:
        archive: .zip, .tar, .tar.gz or .tgz.
        limits: on number and size of what comes out; the bytes are counted as they come.
        progress: called after each member.

    Raises:
        DataError: naming the member, if one would lie outside of the folder, is a device, a link that leads out,
            encrypted or damaged, is there twice, or is one too many or too large.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="naslora-") as name:
        unpack = _unpack_zip if archive.name.lower().endswith(".zip") else _unpack_tar
        try:
            unpack(archive, _Folder(Path(name), archive, limits, progress))
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataError(f"{archive}: a member is there twice, or is a file and a folder: {error}") from error
        except (
            zipfile.BadZipFile,
            tarfile.TarError,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            NotImplementedError,
        ) as error:
            raise _damaged(archive, error) from error
        except OSError as error:
            # Errors of decompressors have no number; a full disk has one, and explains itself.
            if error.errno is not None:
                raise
            raise _damaged(archive, error) from error
        yield Path(name)


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} is damaged, cut short or packed in an unknown way: {error}; get it once more")


class _Folder:
    """The target folder of unpacking, which enforces the limits member by member."""

    def __init__(self, root: Path, archive: Path, limits: Limits, progress: Progress) -> None:
        self.root = root
        self._archive, self._limits, self._progress = archive, limits, progress
        self._bytes_left = limits.of(archive)
        self._members = 0

    def refuse(self, member: str, reason: str) -> DataError:
        """Return the error that says why a member is refused."""
        return DataError(f"{self._archive}: {member!r} {reason}; nothing was unpacked")

    def count(self, member: str, total: int | None = None) -> None:
        """Count a member against the limit, and report progress.

        Raises:
            DataError: if it is one too many.
        """
        self._members += 1
        if self._members > self._limits.members:
            raise self.refuse(member, f"is one member more than the {self._limits.members:,} that are allowed")
        self._progress(self._members, total or self._members + 1, f"unpack {self._archive.name}")

    def place(self, member: str, path: str | None = None) -> Path:
        """Return the path of a member in the folder, or of the file that a link points to.

        Args:
            member: its name.
            path: of the target of a link, seen from the folder.

        Raises:
            DataError: if that is outside of the folder.
        """
        # Some programs on Windows write backslashes.
        inside = PurePosixPath((path or member).replace("\\", "/"))
        target = self.root.joinpath(*inside.parts)
        if inside.is_absolute() or ".." in inside.parts or "\0" in member or not target.is_relative_to(self.root):
            raise self.refuse(member, f"would {'lead' if path else 'lie'} outside of the folder it is unpacked to")
        return target

    def write(self, member: str, stream: IO[bytes]) -> None:
        """Write a file, counting its bytes.

        Raises:
            DataError: if the archive unpacks to more than it may.
        """
        target = self.place(member)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while block := stream.read(_BLOCK):
                self._bytes_left -= len(block)
                if self._bytes_left < 0:
                    most = self._limits.of(self._archive)
                    raise self.refuse(member, f"makes it more than {most:,} bytes, suspiciously many for its size")
                file.write(block)


def _unpack_zip(archive: Path, folder: _Folder) -> None:
    with zipfile.ZipFile(archive) as content:
        members = content.infolist()
        for member in members:
            folder.count(member.filename, len(members))
            place = folder.place(member.filename)
            if member.flag_bits & 1:
                raise folder.refuse(member.filename, "is encrypted: unpack the archive yourself and give the folder")
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif kind in (0, stat.S_IFREG):
                with content.open(member) as stream:
                    folder.write(member.filename, stream)
            else:
                raise folder.refuse(member.filename, "is a link or a device, neither file nor folder")


def _unpack_tar(archive: Path, folder: _Folder) -> None:
    with tarfile.open(archive, "r:gz" if archive.name.lower().endswith("gz") else "r:") as content:
        links = []
        for member in content:
            folder.count(member.name)
            place = folder.place(member.name)
            if member.issym() or member.islnk():
                base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                folder.place(member.name, os.path.normpath(base / member.linkname))
                links.append(member)
            elif not (member.isdir() or member.isfile()):
                raise folder.refuse(member.name, "is a device or a pipe, neither file nor folder")
            _apply_data_filter(member, folder)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                _write_member(content, member, folder)
        # Looking up a target reads the whole archive, which has to be counted first.
        for member in links:
            _write_member(content, member, folder)


def _apply_data_filter(member: tarfile.TarInfo, folder: _Folder) -> None:
    """Refuse a member that Python's own filter refuses, where Python has one (3.12, and later releases of 3.10)."""
    if hasattr(tarfile, "data_filter"):
        try:
            tarfile.data_filter(member, str(folder.root))
        except tarfile.FilterError as error:
            raise folder.refuse(member.name, f"is not safe: {error}") from error


def _write_member(content: tarfile.TarFile, member: tarfile.TarInfo, folder: _Folder) -> None:
    try:
        stream = content.extractfile(member)
    except (KeyError, RecursionError) as error:
        raise folder.refuse(member.name, "is a link that leads to nothing") from error
    if stream is None:
        raise folder.refuse(member.name, "is a link to a folder; unpack the archive yourself and give the folder")
    with stream:
        folder.write(member.name, stream)
