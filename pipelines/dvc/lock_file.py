"""Read what DVC has recorded, with its hashes: every stage's last run in dvc.lock, and what .dvc files track."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from naslora_core.errors import PipelineError
from naslora_core.reading import parse_yaml


@dataclass(frozen=True)
class LockedStage:
    """The last run of a stage: MD5 of inputs and outputs by path, and settings by section."""

    deps: dict[str, str]
    outs: dict[str, str]
    params: dict[str, Any]


class DvcLock:
    """The content of dvc.lock; empty if nothing has run yet.

    Raises:
        PipelineError: if the file is not YAML, for instance because of a conflict in git.
    """

    def __init__(self, root: Path) -> None:
        path = root / "dvc.lock"
        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except YAMLError as error:
            raise PipelineError(
                f"{path} is not valid YAML: {' '.join(str(error).split())}; if git has left a conflict there, naslora "
                f"doctor prints the commands that solve it; otherwise: git checkout HEAD -- {shlex.quote(str(path))}"
            ) from error
        self._stages: dict[str, Any] = (content or {}).get("stages", {})

    @property
    def addresses(self) -> tuple[str, ...]:
        """The stages that have run, as "merge@leaf_lesions"; those of domains that were taken out are among them."""
        return tuple(self._stages)

    @property
    def stages(self) -> tuple[LockedStage, ...]:
        """The last runs of all stages."""
        return tuple(stage for address in self._stages if (stage := self.at(address)))

    def stage(self, name: str, domain: str = "") -> LockedStage | None:
        """Return the last run of a stage on a domain, or None if it has not run; no domain is for all of them."""
        return self.at(f"{name}@{domain}" if domain else name)

    def at(self, address: str) -> LockedStage | None:
        """Return the last run of the stage of this address, or None if it has not run."""
        entry = self._stages.get(address)
        if entry is None:
            return None
        hashes = {
            kind: {item["path"]: item.get("md5", "") for item in entry.get(kind, ())} for kind in ("deps", "outs")
        }
        return LockedStage(hashes["deps"], hashes["outs"], entry.get("params", {}).get("params.yaml", {}))

    def params(self, domain: str) -> dict[str, Any]:
        """Return every section of settings that a stage of the domain was run with."""
        sections: dict[str, Any] = {}
        for name, entry in self._stages.items():
            if name.endswith(f"@{domain}"):
                sections |= entry.get("params", {}).get("params.yaml", {})
        # A stage may name single settings, as "model.name", which other stages have within their section.
        return {key: value for key, value in sorted(sections.items()) if "." not in key}


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
