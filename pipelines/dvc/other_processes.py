"""Wait for other dvc commands in this workspace, because two at a time make each other fail."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from naslora_core.errors import PipelineError

_POLL_S = 0.5
# What dvc 3 prints when it meets another dvc; either of the two may be the one that ends with it.
_BUSY = ("is busy, it is being blocked by", "Unable to acquire lock")


def is_busy(message: str) -> bool:
    """Return whether dvc failed because another dvc was running."""
    return any(sign in message for sign in _BUSY)


def wait_for_others(root: Path, deadline: float, say: Callable[[str], None]) -> None:
    """Wait until no other dvc command is running in the workspace.

    Args:
        root: the project's folder.
        deadline: on the clock of `time.monotonic`.
        say: gets one line with the process that is waited for.

    Raises:
        PipelineError: if one is still at work at the deadline; names it.
    """
    reported = ""
    while other := _other_command(root):
        if time.monotonic() >= deadline:
            raise PipelineError(f"the project is busy: {other} works in it; let it finish or stop it, then run again")
        if other != reported:
            say(f"waiting for {other}")
            reported = other
        time.sleep(_POLL_S)


def _other_command(root: Path) -> str:
    """Return a running process from dvc's table of readers and writers; "" if there is none."""
    try:
        table = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # No dvc has run yet, or one is writing the table at this moment: dvc itself will say that it is busy.
        return ""
    holders = [*table.get("write", {}).values(), *(one for many in table.get("read", {}).values() for one in many)]
    return next((f"{one['cmd']} (process {one['pid']})" for one in holders if _is_alive(one["pid"])), "")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
