"""Stage preprocess: turn checked images and masks into arrays of the model's size."""

from naslora_core.config import Params
from naslora_core.data.dataset.clearance import CLEARANCE_FILE, read_clearance
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.dataset.digests import file_digests
from naslora_core.data.dataset.view import VIEW_FILE, read_view
from naslora_core.data.preprocess.preprocess import preprocess
from naslora_core.errors import DataError
from naslora_core.progress import Progress
from naslora_core.sam.specs import find_spec
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write the shards and manifest.json; unchanged rows of an earlier run are reused, and change nothing in them.

    Raises:
        DataError: if the data was not accepted by stage validate, or has changed since.
    """
    clearance_file = paths.source("validate", domain) / CLEARANCE_FILE
    dataset = read_dataset(paths.data(domain))
    digests = file_digests(dataset, paths.digests(domain))
    dataset_sha256 = fingerprint(dataset, digests)
    if read_clearance(clearance_file, domain).dataset_sha256 != dataset_sha256:
        raise DataError(f"{dataset.root} has changed since {clearance_file} was written; run stage validate again")
    image_size = find_spec(params.model.name, params.model.image_size).image_size
    view = params.train.view
    if view == "auto":
        suggested = read_view(paths.source("validate", domain) / VIEW_FILE)
        view = suggested.view
        progress(0, len(dataset.pairs), suggested.reason)
    kept = paths.earlier_arrays(domain)
    output = paths.output("preprocess", domain)
    preprocess(dataset, image_size, output, progress, None, kept, view, digests, dataset_sha256)


if __name__ == "__main__":
    run_stage(main, stage="preprocess")
