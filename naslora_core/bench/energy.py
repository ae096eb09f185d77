"""The energy that processor packages report (Intel and AMD RAPL), where this user may read it."""

from pathlib import Path

from naslora_core.progress import Progress

_COUNTERS = Path("/sys/class/powercap")


class EnergyMeter:
    """Add up what all packages use, other programs' work included.

    A counter starts anew within minutes to hours, so it has to be read more often than that: `watch` does at every
    step of the work.

    Args:
        root: where the system shows its counters.
    """

    def __init__(self, root: Path = _COUNTERS) -> None:
        packages = sorted(folder for folder in root.glob("intel-rapl:*") if folder.name.count(":") == 1)
        self._joules = 0.0
        try:
            self._ranges = {folder: _read(folder / "max_energy_range_uj") for folder in packages}
            self._last = {folder: _read(folder / "energy_uj") for folder in packages}
        except (OSError, ValueError):
            self._last = {}

    @property
    def joules(self) -> float | None:
        """What was used since the meter was made, up to the last step; None where nothing can be read."""
        return self._joules if self._last else None

    def watch(self, progress: Progress) -> Progress:
        """Return a progress that reads the counters, and then tells the given one."""

        def report(done: int, total: int, message: str) -> None:
            self._update()
            progress(done, total, message)

        return report

    def _update(self) -> None:
        for folder, before in self._last.items():
            now = _read(folder / "energy_uj")
            used = now - before if now >= before else now + self._ranges[folder] - before
            self._joules += used / 1e6
            self._last[folder] = now


def _read(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
