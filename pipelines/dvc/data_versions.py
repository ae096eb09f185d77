"""The versions of the data: the commits that changed data.dvc, and the files DVC stored for each.

Read from git and from DVC's cache; nothing is checked out, fetched or changed.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from naslora_core.data.curation.changes import TEXT_FILES, Version, read_version
from naslora_core.data.curation.quarantine_record import QUARANTINE_FOLDER
from naslora_core.data.dataset.card import CARD_FILE, read_card
from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, Pair, file_digest, fingerprint
from naslora_core.errors import DataError, PipelineError
from naslora_core.files import file_md5
from pipelines.dvc.git import require_repository, run_git
from pipelines.dvc.kept import LocalCache

POINTER = "data.dvc"
WORKING_TREE = "working tree"
_FETCH = (
    f"fetch it with: dvc fetch --all-commits {POINTER}. What is not on the remote has to be pushed from where it was "
    f"added: dvc push --all-commits {POINTER}"
)


@dataclass(frozen=True)
class Commit:
    """A commit that changed the data."""

    revision: str
    date: str
    subject: str


class DataVersions:
    """The versions of a project's data in git and DVC.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cache = LocalCache(root)
        self._digests: dict[Path, str] = {}

    def commits(self) -> list[Commit]:
        """Return the commits up to the present one that changed data.dvc, newest first.

        Raises:
            PipelineError: if git does not hold the project; says why and what to do.
        """
        lines = self._git("log", "--format=%h%x09%cs%x09%s", "--", POINTER).splitlines()
        return [Commit(*line.split("\t", 2)) for line in lines]

    def version(self, domain: str, revision: str) -> Version:
        """Return a domain as it was at a git revision; an empty version if there was none of that name.

        Raises:
            PipelineError: if there is no such revision, or it has no data.dvc.
            DataError: if its list of files, its card or its split is not in DVC's cache.
        """
        files = self._files(domain, revision)
        if CARD_FILE not in files:
            return Version(revision)
        with self._texts(files, revision) as folder:
            return read_version(revision, files, folder)

    def working_version(self, domain: str) -> Version:
        """Return a domain as it is in data/ now; an empty version if there is none of that name."""
        folder = self._root / "data" / domain
        if not (folder / CARD_FILE).is_file():
            return Version(WORKING_TREE)
        kinds = (IMAGES_FOLDER, MASKS_FOLDER, f"{QUARANTINE_FOLDER}/{IMAGES_FOLDER}")
        paths = [path for kind in kinds for path in sorted((folder / kind).glob("*")) if path.is_file()]
        return read_version(
            WORKING_TREE, {path.relative_to(folder).as_posix(): file_md5(path) for path in paths}, folder
        )

    def dataset_sha256(self, domain: str, version: Version) -> str:
        """Return the fingerprint of a committed version, as models trained on it record it.

        Returns:
            What `fingerprint` gives for it; "" if it is packed or some of its files are not in the cache.
        """
        files = self._files(domain, version.label)
        images, masks = (
            {name: self._cache.object(md5) for name, md5 in side.items()} for side in (version.images, version.masks)
        )
        paths = [*images.values(), *masks.values()]
        if not images or not all(path.is_file() for path in paths):
            return ""
        self._digests |= {path: file_digest(path) for path in paths if path not in self._digests}
        pairs = tuple(
            Pair(name, images.get(name), masks.get(name), split, version.groups[name])
            for name, split in sorted(version.splits.items())
        )
        with self._texts(files, version.label) as folder:
            return fingerprint(Dataset(folder, read_card(folder), pairs), self._digests)

    def _files(self, domain: str, revision: str) -> dict[str, str]:
        """Return the MD5 of every file of a domain at a revision, by its path below the domain's folder."""
        pointer = YAML(typ="safe").load(self._git("show", f"{revision}:./{POINTER}"))
        listing = self._cache.object(pointer["outs"][0]["md5"])
        if not listing.is_file():
            raise DataError(f"the data of {revision} is not here, only its name in {POINTER}; {_FETCH}")
        entries = json.loads(listing.read_text(encoding="utf-8"))
        beginning = f"{domain}/"
        return {
            entry["relpath"].removeprefix(beginning): entry["md5"]
            for entry in entries
            if entry["relpath"].startswith(beginning)
        }

    @contextmanager
    def _texts(self, files: Mapping[str, str], revision: str) -> Iterator[Path]:
        """Yield a temporary folder with the card, the split and the index of a version."""
        with tempfile.TemporaryDirectory() as name:
            for text in TEXT_FILES:
                if text not in files:
                    continue
                if not (content := self._cache.object(files[text])).is_file():
                    raise DataError(f"{text} of {revision} is not in DVC's cache; {_FETCH}")
                (Path(name) / text).parent.mkdir(exist_ok=True)
                shutil.copyfile(content, Path(name) / text)
            yield Path(name)

    def _git(self, *arguments: str) -> str:
        done = run_git(self._root, *arguments)
        if done.returncode != 0:
            require_repository(self._root, f"versions of the data are git revisions of {POINTER}")
            reason = done.stderr.strip().removeprefix("fatal: ").splitlines()[0]
            raise PipelineError(f"git cannot tell: {reason}. Versions of the data are git revisions of {POINTER}")
        return done.stdout
