import hashlib
import shutil
import tarfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from naslora_core.data.curation import pack as packing
from naslora_core.data.curation.pack import pack, refresh, unpack, unpack_in_place
from naslora_core.data.curation.quarantine import quarantine
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import DataError

Write = Callable[..., Path]


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "shard_count", lambda pairs: 4)


def test_packing_and_unpacking_in_place_changes_no_byte(write_dataset: Write) -> None:
    root = write_dataset(15)
    (root / "masks" / "disc_04.png").unlink()
    before, digest = content(root), fingerprint(read_dataset(root))
    pack(root)
    assert sorted(path.name for path in root.iterdir()) == ["dataset.yaml", "shards", "splits.csv"]
    assert fingerprint(read_dataset(root)) == digest
    unpack_in_place(root)
    assert content(root) == before
    assert [path.name for path in root.parent.iterdir()] == [root.name]


@pytest.mark.usefixtures("_small_shards")
def test_the_same_files_make_the_same_shards_and_a_new_one_changes_one(write_dataset: Write) -> None:
    first, second = write_dataset(15, "one"), write_dataset(16, "two")
    for root in (first, second):
        pack(root)
    before, after = content(first / "shards"), content(second / "shards")
    assert len(before) == 5
    assert sum(before[name] != after[name] for name in before if name.endswith(".tar")) == 1
    with tarfile.open(first / "shards" / next(name for name in before if name.endswith(".tar"))) as archive:
        members = archive.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
    assert [member.name for member in members] == sorted(member.name for member in members)


def test_a_packed_dataset_says_what_to_do_until_it_is_unpacked(write_dataset: Write) -> None:
    root = write_dataset(5)
    digest = fingerprint(read_dataset(root))
    pack(root)
    shutil.rmtree(root.parent / ".unpacked")
    with pytest.raises(DataError, match="is packed in shards/.* run naslora data unpack discs"):
        read_dataset(root)
    assert refresh(root)
    assert not refresh(root)
    assert fingerprint(read_dataset(root)) == digest


def test_a_copy_of_other_shards_is_not_read(write_dataset: Write) -> None:
    root, other = write_dataset(5), write_dataset(6, "other")
    pack(root)
    pack(other)
    shutil.rmtree(root / "shards")
    shutil.copytree(other / "shards", root / "shards")
    with pytest.raises(DataError, match="of another version"):
        read_dataset(root)
    assert refresh(root)
    assert len(read_dataset(root).pairs) == 6


def test_a_shard_that_is_damaged_or_made_by_others_is_refused(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(5)
    pack(root)
    shard = next((root / "shards").glob("*.tar"))
    good = shard.read_bytes()
    shard.write_bytes(good[:-1] + b"x")
    with pytest.raises(DataError, match="not what was packed"):
        unpack(root)
    with tarfile.open(shard, "w") as archive:
        archive.add(tmp_path / "data" / "discs" / "dataset.yaml", "../evil.yaml")
    with pytest.raises(DataError, match="not what was packed"):
        unpack(root)
    index = root / "shards" / "index.json"
    index.write_text(index.read_text().replace(_sha256(good), _sha256(shard.read_bytes())))
    with pytest.raises(DataError, match=r"holds '\.\./evil\.yaml'"):
        unpack(root)
    assert not list(tmp_path.rglob("evil*"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_would_be_lost_or_changed_is_refused(write_dataset: Write) -> None:
    root = write_dataset(5)
    (root / "images" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is no image file and would be lost"):
        pack(root)
    (root / "images" / "notes.txt").unlink()
    with pytest.raises(DataError, match="is not packed"):
        unpack(root)
    pack(root)
    for change in (lambda: pack(root), lambda: quarantine(root, {"disc_01": "x"}, date(2026, 1, 31))):
        with pytest.raises(DataError, match="--in-place first"):
            change()


def test_a_kill_between_the_shards_and_the_move_loses_nothing(
    write_dataset: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_dataset(8)
    digest = fingerprint(read_dataset(root))
    move = Path.replace

    def dying(self: Path, target: Path) -> Path:
        if self.name == "masks":
            raise KeyboardInterrupt
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            pack(root)
    assert refresh(root)
    assert fingerprint(read_dataset(root)) == digest
    unpack_in_place(root)
    assert fingerprint(read_dataset(root)) == digest
