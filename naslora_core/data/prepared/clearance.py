"""Check that the gate has passed the data, and that it has not changed since."""

from pathlib import Path

from naslora_core.data.dataset.card import CARD_FILE
from naslora_core.data.dataset.clearance import read_clearance
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import DataError
from naslora_core.reading import read_object

PASSED = "passed"


def clearance(clearance_file: Path, manifest_file: Path, dataset: Path) -> dict[str, str]:
    """Check that the gate has passed exactly this data, and return the fingerprints that a trained model records.

    Args:
        clearance_file: clearance.json of the gate.
        manifest_file: manifest.json of the preprocessed data.
        dataset: folder of the dataset; it is compared too if it is there.

    Returns:
        "dataset_sha256", the fingerprint of the data, and "gate".

    Raises:
        DataError: if the gate has not judged the data, rejected it, or judged another version of it.
    """
    name = dataset.name
    prepared = dataset_sha256(manifest_file)
    if read_clearance(clearance_file, name).dataset_sha256 != prepared:
        raise DataError(
            f"{manifest_file} was made from other data than {clearance_file} passed; run stages validate and "
            f"preprocess, or naslora run --domain {name}"
        )
    if (dataset / CARD_FILE).is_file() and fingerprint(read_dataset(dataset)) != prepared:
        raise DataError(
            f"{dataset} has changed since it was judged and preprocessed; run stages validate and preprocess, or "
            f"naslora run --domain {name}"
        )
    return {"dataset_sha256": prepared, "gate": PASSED}


def dataset_sha256(manifest_file: Path) -> str:
    """Return the fingerprint of the dataset that preprocessed data was made from.

    Raises:
        DataError: if the manifest cannot be read or does not say.
    """
    try:
        return str(read_object(manifest_file)["dataset_sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{manifest_file} cannot be read ({error}); run stage preprocess") from error
