"""Files that are damaged, deleted, forbidden or of another time, while no stage runs or one just has been ended."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.pipeline import Pipeline

TEN_YEARS_S = 10 * 365 * 24 * 3600


def spoil_checkpoint(pipeline: Pipeline) -> str:
    """Kill a training that has a checkpoint, and damage that."""
    pipeline.forget("search_train")
    process = pipeline.start()
    while process.poll() is None and not pipeline.checkpoints():
        time.sleep(0.01)
    time.sleep(pipeline.rng.uniform(0, 0.5))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    found = pipeline.checkpoints()[:1]
    return "; ".join(_damage(path, pipeline.rng) for path in found) or "no checkpoint was left to damage"


def spoil_output(pipeline: Pipeline) -> str:
    """Damage a file that a stage wrote; half of the time DVC cannot bring it back from its cache."""
    path = pipeline.rng.choice(pipeline.files("artifacts"))
    return _damage(path, pipeline.rng) + f" of {path.parent.relative_to(pipeline.root)}" + _perhaps_lose_cache(pipeline)


def delete_output(pipeline: Pipeline) -> str:
    """Delete a file that a stage wrote, or the whole folder."""
    path = pipeline.rng.choice(pipeline.files("artifacts"))
    if pipeline.rng.random() < 0.5:
        path.unlink()
    else:
        path = path.parent
        shutil.rmtree(path)
    return f"deleted {path.relative_to(pipeline.root)}" + _perhaps_lose_cache(pipeline)


def limit_files(pipeline: Pipeline) -> str:
    """Run a stage where no file may grow beyond a random size."""
    stage = pipeline.rng.choice(pipeline.stages)
    pipeline.forget(stage)
    limit = int(10 ** pipeline.rng.uniform(4, 7))
    return f"no file above {limit} bytes for {stage}: {pipeline.run_to_its_end(limit=limit)}"


def forbid_writing(pipeline: Pipeline) -> str:
    """Run a stage whose folder is read-only; of the one that runs as root, the right to ignore that is taken."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return "left out: no setpriv, and root may write everywhere"
    stage = pipeline.rng.choice(pipeline.stages)
    pipeline.forget(stage)
    # Of a stage with domains; the report has none, and takes the place of its folder as a whole.
    folder = pipeline.root / "artifacts" / ("" if stage == "report" else stage)
    folder.mkdir(exist_ok=True)
    before = folder.stat().st_mode
    folder.chmod(0o555)
    rights = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    try:
        return f"{folder.name} is read-only for {stage}: {pipeline.run_to_its_end(prefix=rights)}"
    finally:
        folder.chmod(before)


def leave_lock(pipeline: Pipeline) -> str:
    """Leave what a killed dvc leaves: its number in the locks; half of the time it was about to write the table."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    holder = {"pid": gone.pid, "cmd": "dvc repro"}
    table = json.dumps({"write": {str(pipeline.root / "artifacts"): holder}, "read": {str(pipeline.root): [holder]}})
    end = pipeline.rng.choice([len(table), pipeline.rng.randrange(len(table))])
    (pipeline.root / ".dvc" / "tmp" / "rwlock").write_text(table[:end])
    (pipeline.root / ".dvc" / "tmp" / "lock").write_text(f" {gone.pid}\n")
    return f"DVC's locks are those of a process that is no more, {end} bytes of {len(table)}"


def cut_off_record(pipeline: Pipeline) -> str:
    """Leave the dvc.lock of a dvc that was killed, or found the disk full, while it wrote that."""
    path = pipeline.root / "dvc.lock"
    return _cut(path, pipeline.rng)


def shift_times(pipeline: Pipeline) -> str:
    """Set times of files to the past and the future, as a clock does that was set in between."""
    files = pipeline.files("artifacts", "data", "models", "stages", ".dvc/cache")
    chosen = pipeline.rng.sample(files, len(files) // 2)
    for path in chosen:
        moment = time.time() + pipeline.rng.uniform(-TEN_YEARS_S, TEN_YEARS_S)
        os.utime(path, (moment, moment))
    return f"{len(chosen)} files have other times"


def _perhaps_lose_cache(pipeline: Pipeline) -> str:
    if pipeline.rng.random() < 0.5:
        return ""
    shutil.rmtree(pipeline.root / ".dvc" / "cache")
    return ", and the cache of DVC"


def _damage(path: Path, rng: random.Random) -> str:
    """Cut a file off somewhere, or turn one bit of it round."""
    if rng.random() < 0.5:
        return _cut(path, rng)
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"turned a bit of byte {place} of {path.name}"


def _cut(path: Path, rng: random.Random) -> str:
    content = path.read_bytes()
    place = rng.randrange(len(content))
    path.write_bytes(content[:place])
    return f"cut {path.name} at byte {place} of {len(content)}"
