"""Keep a stage's result in DVC's run cache, where `dvc repro` finds it when the same inputs come again."""

import os
from collections.abc import Iterator
from typing import Any

from naslora_core.progress import Progress

# How dvc tells a stage which one it is: "merge@leaves", or "sub/dvc.yaml:merge@leaves" if asked for from elsewhere.
_STAGE = "DVC_STAGE"


def keep_result(progress: Progress, not_for: str | None = None) -> None:
    """Store the outputs of the stage that dvc is running in DVC's cache, and what they were made from beside them.

    DVC does so by itself only for outputs that `dvc pull` and `dvc checkout` bring, too; and with such outputs `dvc
    pull` fails in every clone of a project until each stage has run and was pushed. A stage that dvc has not started
    keeps nothing. A result that cannot be kept is no failure of the stage: it is only computed again when asked for
    again, and the reason is reported.

    The files stay the ones that the stage has written, and are not replaced by copies of what was stored: whatever has
    links to them goes on sharing their space on the disk.

    Args:
        progress: gets the reason if the result is not kept.
        not_for: why the same inputs must not bring the result again; it is not kept then.
    """
    address = os.environ.get(_STAGE)
    # Of several processes that train one model together, the first one has written the outputs.
    if address is None or os.environ.get("RANK", "0") != "0":
        return
    if not_for:
        progress(1, 1, f"not kept in DVC's run cache: {not_for}")
        return
    try:
        # It takes half a second to import, and is not needed where dvc has not started the stage.
        from dvc.repo import Repo
        from dvc.stage.cache import StageCache

        class StoredInPlace(StageCache):
            """DVC's run cache, which stores files without checking them out again."""

            def _uncached_outs(self, stage: Any, cache: Any) -> Iterator[Any]:
                for output in super()._uncached_outs(stage, cache):
                    output.commit(relink=False)
                yield from ()

        # Of the working folder, where dvc starts a stage: what else dvc says of the place is that of an outer dvc.
        with Repo() as repo:
            for stage in repo.stage.collect(address.rpartition(":")[2]):
                stage.save(run_cache=False)
                StoredInPlace(repo).save(stage)
    except Exception as error:
        # Hours of training are not lost to whatever goes wrong in a library, or in the database of its cache.
        progress(1, 1, f"not kept in DVC's run cache, and computed again when it is wanted again: {error}")
