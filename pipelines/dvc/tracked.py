"""Read .dvc files: which files DVC tracks beside the stages' outputs, and in which version."""

from pathlib import Path

from naslora_core.reading import parse_yaml


def tracked_outputs(file: Path) -> dict[str, str]:
    """Return the MD5 of what a .dvc file tracks, by its path relative to the file's folder.

    Args:
        file: such as data.dvc; nothing is tracked by one that is missing or damaged, as after a conflict in git.
    """
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    outs = content.get("outs") if isinstance(content, dict) else None
    tracked = {}
    for out in outs if isinstance(outs, list) else ():
        if isinstance(out, dict) and isinstance(out.get("path"), str) and isinstance(out.get("md5"), str):
            tracked[out["path"]] = out["md5"]
    return tracked
