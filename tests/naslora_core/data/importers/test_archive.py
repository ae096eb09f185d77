"""Archives: sound ones are unpacked, and whatever would leave the folder or fill the disk is refused."""

import io
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from naslora_core.data.importers.archive import Limits, is_archive, unpacked
from naslora_core.errors import DataError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unpack into a folder that can be looked into afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"x"
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def make_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, names: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def contents(archive: Path, limits: Limits | None = None) -> dict[str, bytes]:
    with unpacked(archive, limits) as folder:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["data.zip", "data.tar", "data.tar.gz", "DATA.TGZ"])
def test_an_archive_is_unpacked_and_nothing_of_it_remains(name: str, tmp_path: Path, temporary: Path) -> None:
    files = {"set/images/a.jpg": b"1234", "set/masks/a.png": b"", "set/./b.txt": b"b"}
    if name.endswith(".zip"):
        archive = make_zip(tmp_path / name, {"set/": b"", **files})
    else:
        entries = [entry("set", tarfile.DIRTYPE), *(entry(path, content=content) for path, content in files.items())]
        archive = make_tar(tmp_path / name.lower(), *entries).rename(tmp_path / name)
    assert is_archive(archive)
    assert contents(archive) == {"set/images/a.jpg": b"1234", "set/masks/a.png": b"", "set/b.txt": b"b"}
    assert list(temporary.iterdir()) == []


def test_a_link_within_becomes_a_copy(tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "data.tar",
        entry("a/symbolic", tarfile.SYMTYPE, "../b/file"),
        entry("b/file", content=b"content"),
        entry("hard", tarfile.LNKTYPE, "b/file"),
    )
    assert contents(archive) == dict.fromkeys(("a/symbolic", "b/file", "hard"), b"content")


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "../outside": lambda p: make_zip(p / "a.zip", {"fine": b"x", "../outside": b"x"}),
    "set/../../outside": lambda p: make_zip(p / "a.zip", {"set/../../outside": b"x"}),
    "/etc/outside": lambda p: make_zip(p / "a.zip", {"/etc/outside": b"x"}),
    "..\\\\outside": lambda p: make_zip(p / "a.zip", {"..\\outside": b"x"}),
    "../outside.txt": lambda p: make_tar(p / "a.tar", entry("fine"), entry("../outside.txt")),
    "/etc/outside.txt": lambda p: make_tar(p / "a.tgz", entry("/etc/outside.txt")),
    "absolute link": lambda p: make_tar(p / "a.tar", entry("absolute link", tarfile.SYMTYPE, "/etc/passwd")),
    "relative link": lambda p: make_tar(p / "a.tar", entry("in/relative link", tarfile.SYMTYPE, "../../passwd")),
    "hard link": lambda p: make_tar(p / "a.tar", entry("hard link", tarfile.LNKTYPE, "../passwd")),
    "pipe": lambda p: make_tar(p / "a.tar", entry("pipe", tarfile.FIFOTYPE)),
    "device": lambda p: make_tar(p / "a.tar", entry("device", tarfile.CHRTYPE)),
    "dangling": lambda p: make_tar(p / "a.tar", entry("dangling", tarfile.SYMTYPE, "nothing")),
    "circle": lambda p: make_tar(
        p / "a.tar", entry("circle", tarfile.SYMTYPE, "round"), entry("round", tarfile.SYMTYPE, "circle")
    ),
}


@pytest.mark.parametrize("member", HOSTILE)
def test_a_member_that_leads_out_is_named_and_nothing_remains(member: str, tmp_path: Path, temporary: Path) -> None:
    archive = HOSTILE[member](tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError) as refused:
        contents(archive)
    assert member in str(refused.value)
    assert str(archive) in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert list(temporary.iterdir()) == []


def test_writing_through_a_link_is_impossible(tmp_path: Path, temporary: Path) -> None:
    """The classic: a link to a folder outside, then a file below that link."""
    archive = make_tar(
        tmp_path / "a.tar", entry("door", tarfile.SYMTYPE, str(tmp_path)), entry("door/outside", content=b"x")
    )
    with pytest.raises(DataError, match="'door' would lead outside"):
        contents(archive)
    assert not (tmp_path / "outside").exists()
    assert list(temporary.iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="'link' is a link or a device"):
        contents(tmp_path / "a.zip")


def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path, temporary: Path) -> None:
    limits = Limits(ratio=10, free_bytes=10_000)
    archive = make_zip(tmp_path / "a.zip", {"small": b"x" * 5000, "bomb": bytes(5_000_000)})
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataError, match="'bomb' makes it more than .* bytes, suspiciously many"):
        contents(archive, limits)
    tar = make_tar(tmp_path / "a.tar.gz", entry("bomb", content=bytes(5_000_000)))
    with pytest.raises(DataError, match="'bomb' makes it more than"):
        contents(tar, limits)
    assert list(temporary.iterdir()) == []
    assert len(contents(tar, Limits(free_bytes=5_000_000))["bomb"]) == 5_000_000


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb": bytes(2_000_000)})
    content = bytearray(archive.read_bytes())
    # The uncompressed size of the only entry of the central directory, at offset 24 of its record.
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 10)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="'bomb' makes it more|damaged"):
        contents(archive, Limits(ratio=2, free_bytes=1000))


def test_the_absolute_limit_holds_for_large_archives_too(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"x" * 3000}, zipfile.ZIP_STORED)
    with pytest.raises(DataError, match="more than 2,000 bytes"):
        contents(archive, Limits(total_bytes=2000))


def test_a_million_members_are_refused_before_they_fill_the_disk(tmp_path: Path) -> None:
    many = {f"{number}.txt": b"" for number in range(101)}
    message = "is one member more than the 100 that are allowed"
    with pytest.raises(DataError, match=rf"'100.txt' {message}"):
        contents(make_zip(tmp_path / "a.zip", many), Limits(members=100))
    tar = make_tar(tmp_path / "a.tar", *(entry(name, content=b"") for name in many))
    with pytest.raises(DataError, match=rf"'100.txt' {message}"):
        contents(tar, Limits(members=100))
    assert Limits().members < 1_000_000


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"secret.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"'secret\.jpg' is encrypted: unpack the archive yourself"):
        contents(archive)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("keep", [0, 40, 700])
def test_an_archive_that_is_cut_short_is_refused(name: str, keep: int, tmp_path: Path, temporary: Path) -> None:
    noise = bytes(range(256)) * 20
    files = {"a.jpg": noise, "b.jpg": noise[::-1]}
    make = make_zip(tmp_path / name, files, zipfile.ZIP_STORED) if name.endswith("zip") else None
    archive = make or make_tar(tmp_path / name, *(entry(path, content=content) for path, content in files.items()))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"is damaged, cut short or packed in an unknown way"):
        contents(archive)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, None])
def test_an_archive_that_is_damaged_is_refused(method: int | None, tmp_path: Path, temporary: Path) -> None:
    noise = b"".join(bytes([(i * i) % 251, i % 13]) for i in range(4000))
    archive = (
        make_tar(tmp_path / "a.tar.gz", entry("a", content=noise))
        if method is None
        else make_zip(tmp_path / "a.zip", {"a": noise}, method)
    )
    content = bytearray(archive.read_bytes())
    for place in range(60, 100):
        content[place] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError, match="is damaged, cut short or packed in an unknown way"):
        contents(archive)
    assert list(temporary.iterdir()) == []


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", entry("a", content=b"1"), entry("a", content=b"2"))
    with pytest.raises(DataError, match="a member is there twice"):
        contents(archive)
    with pytest.raises(DataError, match="is there twice, or is a file and a folder"):
        contents(make_tar(tmp_path / "b.tar", entry("a"), entry("a/b")))


def test_what_fails_while_an_archive_is_used_is_not_blamed_on_it(tmp_path: Path, temporary: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"x"})
    with pytest.raises(EOFError, match="of the user"), unpacked(archive):
        raise EOFError("of the user")
    assert list(temporary.iterdir()) == []
