"""The server: it loads the libraries of a stage when that is first asked for, and forks; it computes nothing itself.

python -m pipelines.stage_server.server LISTENER FOLDER, where LISTENER is the number of a listening socket, and FOLDER
a private one that is removed in the end. That comes when standard input is closed and the last stage has ended.

Code of this project is not loaded ahead: each stage imports what lies there when it begins, as by `python -m`.
"""

import ctypes
import gc
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from typing import Any

_ALL = ("dvc.repo", "dvc.stage.cache", "pydantic", "ruamel.yaml", "numpy", "PIL.Image", "cv2")
_TORCH = ("torch", "safetensors.torch")
_TABLES = ("pandas", "pyarrow.parquet")
# What is slow to import, by the stage that does.
LIBRARIES = {
    "stages.validate": (*_ALL, *_TABLES, "scipy.sparse.csgraph", "great_expectations", "matplotlib.figure"),
    "stages.preprocess": _ALL,
    "stages.search_train": (*_ALL, *_TORCH, "torch._dynamo", "torchvision.transforms.v2", "dvclive"),
    "stages.merge": (*_ALL, *_TORCH),
    "stages.evaluate": (*_ALL, *_TORCH, *_TABLES, "scipy.ndimage", "skimage.morphology", "matplotlib.figure"),
    "stages.report": (*_ALL, *_TABLES, "matplotlib.figure", "jinja2"),
}
_PR_SET_PDEATHSIG = 1
_LONGEST_REQUEST_S = 10.0


@dataclass
class _Running:
    """A stage: its process, a descriptor that becomes readable when that ends, and the link to who waits for it."""

    pid: int
    ended: int
    link: socket.socket


class _Server:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._running: list[_Running] = []

    def serve(self) -> dict[str, Any] | None:
        """Answer until nobody can ask any more; returns a request in the process that is to carry it out."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._refuse_more)
        while self._selector.get_map():
            for key, _ in self._selector.select():
                # It may be gone since, by what was done for another one.
                if key.fd in self._selector.get_map() and (request := key.data()):
                    return dict(request)
        return None

    def _refuse_more(self) -> None:
        self._selector.unregister(sys.stdin.fileno())
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> dict[str, Any] | None:
        link, _ = self._listener.accept()
        link.settimeout(_LONGEST_REQUEST_S)
        try:
            head, streams, _, _ = socket.recv_fds(link, 8, 3)
            with link.makefile("rb") as file:
                request: dict[str, Any] = json.loads(file.read(int.from_bytes(head, "big")))
        except (OSError, ValueError):
            link.close()
            return None
        try:
            _load(request["words"][1])
        except Exception:
            # A library that cannot be loaded, for whatever reason: the stage by itself will tell.
            pid = None
        else:
            server, pid = os.getpid(), os.fork()
        if pid == 0:
            self._forget()
            link.close()
            _become(request, streams, server)
            return request
        for stream in streams:
            os.close(stream)
        if pid is None:
            link.close()
            return None
        with suppress(OSError):
            link.sendall(b"+")
        running = _Running(pid, os.pidfd_open(pid), link)
        self._running.append(running)
        self._selector.register(running.ended, selectors.EVENT_READ, lambda: self._report(running))
        self._selector.register(link, selectors.EVENT_READ, lambda: self._pass_on(running))
        return None

    def _pass_on(self, running: _Running) -> None:
        """Send the stage the signals that came for it; where who waits for it is gone, end it with all it started."""
        try:
            numbers = running.link.recv(16)
        except OSError:
            numbers = b""
        for number in numbers:
            os.kill(running.pid, number)
        if not numbers:
            self._selector.unregister(running.link)
            # It has a group of its own as soon as it is told what to do.
            for end in (os.kill, os.killpg):
                with suppress(ProcessLookupError):
                    end(running.pid, signal.SIGKILL)

    def _report(self, running: _Running) -> None:
        # Waited for, so that its CPU time counts as this process's children's.
        _, status = os.waitpid(running.pid, 0)
        with suppress(OSError):
            running.link.sendall(struct.pack("i", os.waitstatus_to_exitcode(status)))
        self._selector.unregister(running.ended)
        os.close(running.ended)
        with suppress(KeyError):
            self._selector.unregister(running.link)
        running.link.close()
        self._running.remove(running)

    def _forget(self) -> None:
        """Close, in a new process, what belongs to the server."""
        self._selector.close()
        self._listener.close()
        for running in self._running:
            os.close(running.ended)
            running.link.close()


def _load(module: str) -> None:
    """Import what a stage will import."""
    gc.disable()
    try:
        for library in LIBRARIES.get(module, ()):
            import_module(library)
    finally:
        gc.enable()
    # What was loaded is garbage for nobody. Looking for some takes time, and later would copy every page of it.
    gc.freeze()


def _become(request: dict[str, Any], streams: list[int], server: int) -> None:
    """Take the place of the process that asked: its streams, folder and environment, in a group of its own."""
    os.setsid()
    # Not longer than the server, which alone sees that whoever waits for this process is gone.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    invalidate_caches()


def main() -> None:
    """Serve, and in every process that is forked run the stage as `python -m` does."""
    # Ctrl-C reaches every process of a terminal: whoever waits for a stage passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    request = _Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if request is None:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
        return
    _, module, *arguments = request["words"]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
