"""Pack images and masks into a few large tar shards, which DVC hashes and transfers faster, and unpack them.

A packed dataset has shards/ in place of images/ and masks/. It is read from an unpacked copy beside the datasets,
which belongs to no data version and holds the index of the shards that it was made from.
"""

import contextlib
import io
import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from naslora_core.data.dataset.dataset import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    SHARDS_FOLDER,
    SHARDS_INDEX,
    UNPACKED_FOLDER,
    Dataset,
    file_digest,
    files_folder,
    is_packed,
    read_dataset,
)
from naslora_core.data.prepared.shards import ShardsIndex, read_index, shard_count, shard_name
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, file_md5, write_json
from naslora_core.progress import Progress, silent

_MEMBER = re.compile(rf"({IMAGES_FOLDER}|{MASKS_FOLDER})/[^/\\]+")


def pack(root: Path, progress: Progress = silent) -> int:
    """Move the images and masks of a dataset into tar shards; the original files become the unpacked copy.

    A pair's shard depends on its name and on the order of magnitude of the dataset only, and the same files
    give the same bytes: a changed image changes one shard.

    Returns:
        How many shards there are.

    Raises:
        DataError: if the dataset is packed already, or images/ or masks/ hold something else than image files.
    """
    require_unpacked(root)
    dataset = read_dataset(root)
    _require_only_images(dataset)
    count = shard_count(len(dataset.pairs))
    shards: dict[str, list[Path]] = {}
    for pair in dataset.pairs:
        files = [path for path in (pair.image, pair.mask) if path is not None]
        shards.setdefault(f"{shard_name('pairs', pair.name, count)}.tar", []).extend(files)
    with atomic_directory(root / SHARDS_FOLDER) as folder:
        for done, (name, paths) in enumerate(sorted(shards.items()), start=1):
            _write_shard(folder / name, paths)
            progress(done, len(shards), f"pack {root.name}")
        digests = {name: file_digest(folder / name) for name in sorted(shards)}
        # The contents by name, so that versions can be compared without opening a shard.
        contents = {f"{path.parent.name}/{path.name}": file_md5(path) for paths in shards.values() for path in paths}
        index = ShardsIndex(shards_sha256=digests, files_md5=dict(sorted(contents.items())))
        write_json(folder / SHARDS_INDEX, index.model_dump(mode="json"))
    with atomic_directory(_copy(root)) as folder:
        # As long as images/ is there the dataset counts as unpacked; from its move on the shards do.
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            if (root / kind).is_dir():
                (root / kind).replace(folder / kind)
        shutil.copyfile(root / SHARDS_FOLDER / SHARDS_INDEX, folder / SHARDS_INDEX)
    return len(shards)


def unpack(root: Path, progress: Progress = silent) -> Path:
    """Unpack a packed dataset into the copy from which it is read.

    Returns:
        The folder of the copy.

    Raises:
        DataError: if the dataset is not packed, or a shard is missing, damaged or holds what `pack` does not write.
    """
    if not is_packed(root):
        raise DataError(f"{root} is not packed; its files lie in {IMAGES_FOLDER}/ and {MASKS_FOLDER}/")
    source = root / SHARDS_FOLDER
    digests = read_index(source / SHARDS_INDEX).shards_sha256
    copy = _copy(root)
    with atomic_directory(copy, durable=False) as folder:
        for kind in (IMAGES_FOLDER, MASKS_FOLDER):
            (folder / kind).mkdir()
        for done, (name, digest) in enumerate(digests.items(), start=1):
            if file_digest(source / name) != digest:
                raise DataError(f"{source / name} is missing or not what was packed; restore it with dvc checkout")
            _read_shard(source / name, folder)
            progress(done, len(digests), f"unpack {root.name}")
        shutil.copyfile(source / SHARDS_INDEX, folder / SHARDS_INDEX)
    return copy


def refresh(root: Path, progress: Progress = silent) -> bool:
    """Unpack a packed dataset if its copy is missing or out of date; return whether that was done.

    Raises:
        DataError: as `unpack`.
    """
    try:
        files_folder(root)
    except DataError:
        unpack(root, progress)
        return True
    return False


def unpack_in_place(root: Path, progress: Progress = silent) -> None:
    """Restore images/ and masks/, and remove shards/ and the unpacked copy; undoes `pack`.

    Raises:
        DataError: as `unpack`.
    """
    copy = unpack(root, progress)
    # Without its index the copy is stale: cut off here, the dataset is still packed and whole.
    (copy / SHARDS_INDEX).unlink()
    shutil.rmtree(root / MASKS_FOLDER, ignore_errors=True)
    (copy / MASKS_FOLDER).replace(root / MASKS_FOLDER)
    (copy / IMAGES_FOLDER).replace(root / IMAGES_FOLDER)
    shutil.rmtree(root / SHARDS_FOLDER)
    shutil.rmtree(copy)
    with contextlib.suppress(OSError):  # other domains are unpacked there
        copy.parent.rmdir()


def require_unpacked(root: Path) -> None:
    """Check that the files of a dataset can be changed.

    Raises:
        DataError: if they are packed.
    """
    if is_packed(root):
        raise DataError(f"{root} is packed; run naslora data unpack {root.name} --in-place first, and pack it again")


def _copy(root: Path) -> Path:
    return root.parent / UNPACKED_FOLDER / root.name


def _require_only_images(dataset: Dataset) -> None:
    known = {path for pair in dataset.pairs for path in (pair.image, pair.mask)}
    for kind in (IMAGES_FOLDER, MASKS_FOLDER):
        for path in sorted((dataset.root / kind).glob("*")):
            if path not in known or not path.is_file():
                raise DataError(f"{path} is no image file and would be lost; move it elsewhere, and pack again")


def _write_shard(path: Path, files: Sequence[Path]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda file: (file.parent.name, file.name)):
            content = file.read_bytes()
            # A fresh entry has no owner and the time 0, so that equal files make equal shards.
            entry = tarfile.TarInfo(f"{file.parent.name}/{file.name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _read_shard(path: Path, folder: Path) -> None:
    try:
        # Neither compressed nor sparse: nothing in it can become larger than it is.
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                plain = entry.isreg() and not entry.issparse() and _MEMBER.fullmatch(entry.name)
                content = archive.extractfile(entry) if plain and entry.name.isprintable() else None
                if content is None:
                    raise DataError(f"{path} holds {entry.name!r}, which naslora data pack does not write; remove it")
                with (folder / entry.name).open("xb") as stream:
                    shutil.copyfileobj(content, stream)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is no shard: {error}; restore it with dvc checkout") from error
