"""Full and read-only disks, and processes that die while they write."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.data.synthetic.generate import generate_domain
from naslora_core.files import atomic_directory, atomic_file, write_json
from naslora_core.sam.weights import save_weights
from naslora_core.training.resume import Checkpoints

REPOSITORY = Path(__file__).parents[2]
BIG = {"weights": torch.ones(200_000)}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk with 200 KB of room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only an administrator may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def short_files(limit: int) -> Iterator[None]:
    """Let no file grow beyond `limit` bytes, which is how a full disk looks to whoever writes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_tensors(path: Path) -> None:
    save_weights(path, BIG, {})


def write_checkpoint(path: Path) -> None:
    Checkpoints(path, 600).save(BIG)


def write_text(path: Path) -> None:
    write_json(path, "x" * 1_000_000)


WRITERS = [write_tensors, write_checkpoint, write_text]


@pytest.mark.parametrize("write", WRITERS)
def test_where_no_room_is_left_the_error_names_the_file_and_the_old_content_stays(write, tmp_path):
    path = tmp_path / "kept.bin"
    path.write_bytes(b"good")
    with short_files(100_000), pytest.raises(OSError, match=r"File too large.*kept\.bin"):
        write(path)
    assert path.read_bytes() == b"good"
    assert [file.name for file in tmp_path.iterdir()] == ["kept.bin"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_leaves_the_old_content_and_nothing_half_written(write, small_disk):
    path = small_disk / "kept.bin"
    path.write_bytes(b"good")
    with pytest.raises(OSError, match=r"No space left on device.*kept\.bin"):
        write(path)
    assert path.read_bytes() == b"good"
    assert [file.name for file in small_disk.iterdir()] == ["kept.bin"]


def test_preparing_images_on_a_full_disk_is_an_error_and_not_the_end_of_the_process(small_disk, tmp_path):
    dataset = generate_domain("leaf_lesions", tmp_path / "leaf", count=12, seed=1)
    with pytest.raises(OSError, match="No space left on device"):
        preprocess(dataset, 256, small_disk / "out", workers=1)
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("kind", [atomic_file, atomic_directory])
def test_a_read_only_disk_is_named(kind, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match="Read-only file system"), kind(small_disk / "out"):
        pytest.fail("nothing can be written here")


def test_what_a_killed_process_left_is_removed_by_the_next_one_and_the_work_of_a_living_one_is_not(tmp_path):
    code = (
        "import pathlib, sys, time\nfrom naslora_core.files import atomic_directory\n"
        f"with atomic_directory(pathlib.Path({str(tmp_path / 'out')!r})) as folder:\n"
        " (folder / 'half').touch()\n print('writing', flush=True)\n time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        with atomic_directory(tmp_path / "out") as folder:
            (folder / "whole").touch()
        assert len(list(tmp_path.glob(".out.tmp-*"))) == 1
        writer.send_signal(signal.SIGKILL)
    with atomic_directory(tmp_path / "out") as folder:
        (folder / "whole").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/whole"]


def test_a_folder_that_was_lost_between_two_renames_is_back_when_the_next_one_fails(tmp_path):
    (tmp_path / ".out.tmp-x.previous").mkdir()
    (tmp_path / ".out.tmp-x.previous" / "good").touch()
    with pytest.raises(ZeroDivisionError), atomic_directory(tmp_path / "out"):
        raise ZeroDivisionError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/good"]


@pytest.fixture
def order(monkeypatch) -> list[str]:
    """What reaches the disk, in its order: names of files and folders, and "renamed"."""
    done: list[str] = []
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        done.append("renamed")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", lambda handle: done.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    monkeypatch.setattr(Path, "replace", replace)
    return done


@pytest.mark.parametrize("durable", [True, False])
def test_a_folder_is_on_the_disk_before_its_name_is(durable, tmp_path, order):
    with atomic_directory(tmp_path / "out", durable) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").touch()
    before = order[: order.index("renamed")]
    assert {"inner", "file"} <= set(before) if durable else before == []
    assert order[-1] == tmp_path.name


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, order):
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_bytes(b"x")
    assert order == [temporary.name, "renamed", tmp_path.name]
