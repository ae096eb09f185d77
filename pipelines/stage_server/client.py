"""`python -m stages.X` by a process of the server: hands over what it was given, and ends as that process does.

Run as `python -ISs client.py SOCKET PYTHON -m stages.X …`, so it starts in hundredths of a second and imports nothing
of this project. Where there is no server any more, it becomes PYTHON, and runs the stage itself.
"""

import json
import os
import signal
import socket
import struct
import sys
from types import FrameType


def main() -> None:
    """Have the server run the stage, or become the Python that does."""
    address, python, *words = sys.argv[1:]
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(address)
        # pathlib takes longer to import than all the rest.
        folder = os.getcwd()  # noqa: PTH109
        request = json.dumps({"words": words, "folder": folder, "environment": dict(os.environ)}).encode()
        socket.send_fds(link, [len(request).to_bytes(8, "big")], [0, 1, 2])
        link.sendall(request)
        _forward_signals(link)
        started = link.recv(1)
    except OSError:
        started = b""
    if not started:
        os.execv(python, [python, *words])
    answer = _receive(link)
    if not answer:
        sys.exit("error: the process that stages run in was ended by the system; run again to go on")
    _end_as(*struct.unpack("i", answer))


def _forward_signals(link: socket.socket) -> None:
    def forward(number: int, frame: FrameType | None) -> None:
        try:
            link.sendall(bytes([number]))
        except OSError:
            # The stage has ended meanwhile, and its status is on the way.
            return

    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever is deaf to it, as a background job to Ctrl-C, stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(struct.calcsize("i"))
    except OSError:
        return b""


def _end_as(code: int) -> None:
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
