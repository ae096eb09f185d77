"""Stage validate: judge a domain's data, and stop the pipeline if it must not be trained on."""

from naslora_core.config import Params
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, write_json
from naslora_core.progress import Progress
from naslora_core.quality.gate import check_dataset
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write measurements.csv, verdict.json and verdict.md, whatever the verdict is.

    Raises:
        DataError: if the data fails; the message names the files.
    """
    verdict, table = check_dataset(paths.data(domain), params.quality, progress)
    output = paths.output("validate", domain)
    with atomic_directory(output) as folder:
        table.to_csv(folder / "measurements.csv", index=False, lineterminator="\n")
        write_json(folder / "verdict.json", verdict.model_dump(mode="json"))
        (folder / "verdict.md").write_text(verdict.markdown(), encoding="utf-8")
    if not verdict.passed:
        raise DataError(verdict.message(rest=str(output / "measurements.csv")))
    progress(verdict.pairs, verdict.pairs, f"{verdict.summary()}; see {output / 'verdict.md'}")


if __name__ == "__main__":
    run_stage(main)
