"""Keep a stage's result in DVC's run cache, where `dvc repro` finds it when the same inputs come again."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naslora_core.errors import PipelineError
from naslora_core.progress import Progress
from stages.inputs_at_start import InputsAtStart

# How dvc tells a stage which one it is: "merge@leaves", or "sub/dvc.yaml:merge@leaves" if asked for from elsewhere.
_STAGE = "DVC_STAGE"
# The setting by which a stage's inputs are named in dvc.yaml.
_CHECKPOINT = "model.checkpoint"


def look_at_inputs(domain: str) -> InputsAtStart | None:
    """Return the inputs as a stage finds them, for `keep_result`; None if dvc has not started it."""
    return InputsAtStart.take(domain) if os.environ.get(_STAGE) else None


def keep_result(progress: Progress, not_for: str | None = None, start: InputsAtStart | None = None) -> None:
    """Store the outputs of the stage that dvc is running in DVC's cache, and what they were made from beside them.

    DVC does so by itself only for outputs that `dvc pull` and `dvc checkout` bring, too; and with such outputs `dvc
    pull` fails in every clone of a project until each stage has run and was pushed. A stage that dvc has not started
    keeps nothing. A result that cannot be kept is no failure of the stage: it is only computed again when asked for
    again, and the reason is reported.

    The files stay the ones that the stage has written, and are not replaced by copies of what was stored: whatever has
    links to them goes on sharing their space on the disk.

    DVC reads the inputs of a stage when it has ended. Were the stage to succeed after somebody has edited them,
    dvc.lock would say that its result was made of what is there now, and no later run would find anything changed.

    Args:
        progress: gets the reason if the result is not kept.
        not_for: why the same inputs must not bring the result again; it is not kept then.
        start: the inputs as the stage has found them; None is as they are now.

    Raises:
        PipelineError: if an input was edited meanwhile. Where that are settings, the result is kept for the former.
    """
    address = os.environ.get(_STAGE)
    # Of several processes that train one model together, the first one has written the outputs.
    if address is None or os.environ.get("RANK", "0") != "0":
        return
    if not_for:
        progress(1, 1, f"not kept in DVC's run cache: {not_for}")
    try:
        changed = _keep(address, not not_for, start)
    except Exception as error:
        # Hours of training are not lost to whatever goes wrong in a library, or in the database of its cache.
        progress(1, 1, f"not kept in DVC's run cache, and computed again when it is wanted again: {error}")
        return
    if changed:
        raise PipelineError(changed)


def _keep(address: str, wanted: bool, start: InputsAtStart | None) -> str:
    """Keep the result if it is `wanted`; returns what was edited meanwhile, with what follows from it, or ""."""
    # It takes half a second to import, and is not needed where dvc has not started the stage.
    from dvc.repo import Repo
    from dvc.stage.cache import StageCache

    class StoredInPlace(StageCache):
        """DVC's run cache, which stores files without checking them out again."""

        def _uncached_outs(self, stage: Any, cache: Any) -> Iterator[Any]:
            for output in super()._uncached_outs(stage, cache):
                output.commit(relink=False)
            yield from ()

    name = address.rpartition(":")[2]
    # Of the working folder, where dvc starts a stage: what else dvc says of the place is that of an outer dvc.
    with Repo() as repo:
        for stage in repo.stage.collect(name):
            if start and (edited := start.edited(dep.def_path for dep in stage.deps)):
                named = ", ".join(edited[:5]) + (f" and {len(edited) - 5} more" if len(edited) > 5 else "")
                return f"changed while {name} worked with what was there before: {named}. Run again to go on with it"
            former = _former_settings(stage, start) if start and not start.same_params else {}
            # A stage that would take other files, or another command, cannot be told from here as it was.
            is_known = start is None or (start.same_pipeline and _CHECKPOINT not in former)
            if wanted and is_known:
                stage.save(run_cache=False)
                for dep in stage.params:
                    dep.hash_info.value.update({key: former[key] for key in dep.params if key in former})
                StoredInPlace(repo).save(stage)
            if edited_settings := [key for key in former if any(key in dep.params for dep in stage.params)]:
                kept = "is kept for these, and " if wanted and is_known else "is "
                return (
                    f"params.yaml was changed while {name} worked with the former settings, in "
                    f"{', '.join(edited_settings)}: its result {kept}not taken for one of the new. Run again to go on "
                    "with the new ones"
                )
    return ""


def _former_settings(stage: Any, start: InputsAtStart) -> dict[str, Any]:
    """Return the settings that a stage began with, by DVC's name for them, as far as they are others now."""
    from dvc.dependency.param import read_param_file

    keys = [*dict.fromkeys([key for dep in stage.params for key in dep.params] + [_CHECKPOINT])]
    with tempfile.TemporaryDirectory() as folder:
        (former := Path(folder, "params.yaml")).write_bytes(start.params)
        before = read_param_file(stage.repo.fs, str(former), keys, flatten=True)
    now = read_param_file(stage.repo.fs, str(Path("params.yaml").resolve()), keys, flatten=True)
    return {key: value for key, value in before.items() if now.get(key) != value}
