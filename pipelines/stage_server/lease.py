"""Have a server of stages at hand while a pipeline runs, behind an executable `python` that comes first in PATH."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLIENT = Path(__file__).with_name("client.py")
# A path of a socket has room for 107 bytes.
_LONGEST_ADDRESS = 107
_PYTHON = """#!/bin/sh
case "$1 $2" in
"-m stages."*) exec {python} -ISs {client} {address} {python} "$@" ;;
esac
exec {python} "$@"
"""
_PATIENCE_S = 10.0
_folders: dict[Path, Path] = {}


def stage_python(root: Path) -> Path | None:
    """Return the folder whose `python` runs stages of a project by its server; None if none is at hand."""
    return _folders.get(root)


@contextmanager
def stage_server(root: Path, environment: dict[str, str]) -> Iterator[None]:
    """Start a server for the stages of a project, and end it.

    Stages run without it wherever it cannot be had: it needs Linux, and a folder for temporary files that takes
    programs. It outlives a killed parent as long as a stage runs, and no longer.

    Args:
        root: the project's folder.
        environment: that stages will have, which libraries read when they are loaded.
    """
    folder = Path(tempfile.mkdtemp(prefix="naslora-"))
    address = folder / "socket"
    python = folder / "python"
    words = {"python": sys.executable, "client": str(_CLIENT), "address": str(address)}
    python.write_text(_PYTHON.format(**{name: shlex.quote(word) for name, word in words.items()}), encoding="utf-8")
    python.chmod(0o700)
    if not _has_pidfd() or len(os.fsencode(address)) > _LONGEST_ADDRESS or not os.access(python, os.X_OK):
        shutil.rmtree(folder)
        yield
        return
    # Listening before the server runs: whoever comes early waits for it.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        number = listener.fileno()
        # No stream of this process: whoever reads those of a killed run would wait for the server.
        server = subprocess.Popen(
            [sys.executable, "-m", "pipelines.stage_server.server", str(number), str(folder)],
            cwd=root, env=environment, pass_fds=[number], start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    _folders[root] = folder
    try:
        yield
    finally:
        del _folders[root]
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _has_pidfd() -> bool:
    """Return whether the system can tell of a process's end by a descriptor, as Linux 5.3 and newer."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
