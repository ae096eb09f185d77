"""Stage validate: check a domain's data, and stop the pipeline if the gate rejects it."""

from naslora_core.config import Params
from naslora_core.data.dataset.clearance import CLEARANCE_FILE, write_clearance
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.view import VIEW_FILE, write_view
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, write_json
from naslora_core.progress import Progress
from naslora_core.quality.gate import check_dataset
from naslora_core.quality.offending import write_contact_sheet, write_offending
from naslora_core.quality.scale.record import write_scale
from naslora_core.quality.scale.view import suggest_view
from naslora_core.quality.table import write_table
from naslora_core.sam.specs import find_spec
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write measurements, clearance, suggested view, verdict, failing files as table and pictures, and the Data Docs.

    All are written whatever the verdict is. What preprocessing and training depend on is clearance.json and view.json
    alone. The data of the model in service is not compared with here, as it is none of the stage's inputs: naslora run
    and naslora data check do so.

    Raises:
        DataError: if the data fails; the message names the files.
    """
    dataset, output = read_dataset(paths.data(domain)), paths.output("validate", domain)
    with atomic_directory(output) as folder:
        docs = folder / "data_docs"
        docs.mkdir()
        measured, input_px = paths.measured(domain), find_spec(params.model.name, params.model.image_size).image_size
        remembered = paths.digests(domain)
        verdict, table = check_dataset(
            dataset, params.quality, progress, measured, docs=docs, input_px=input_px, remembered=remembered
        )
        write_table(folder / "measurements.parquet", table, dataset.card, input_px)
        write_clearance(folder / CLEARANCE_FILE, verdict.passed, domain, verdict.dataset_sha256)
        view = suggest_view(table, dataset.card, input_px)
        write_view(folder / VIEW_FILE, view)
        write_scale(folder / "scale", table, dataset, input_px, view)
        judged = {"quality": params.quality.model_dump(mode="json")}
        write_json(folder / "verdict.json", verdict.shortened().model_dump(mode="json") | judged)
        (folder / "verdict.md").write_text(verdict.markdown(), encoding="utf-8")
        write_offending(folder / "offending.csv", verdict)
        write_contact_sheet(folder / "offending.png", verdict, dataset)
    if not verdict.passed:
        raise DataError(verdict.message(rest=str(output / "offending.csv")))
    progress(verdict.pairs, verdict.pairs, f"{verdict.summary()}; see {output / 'verdict.md'}")


if __name__ == "__main__":
    run_stage(main)
