"""Check that the gate has passed the data, and that it has not changed since."""

from pathlib import Path

from naslora_core.data.dataset.card import CARD_FILE
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import DataError
from naslora_core.reading import VERDICT_FORMAT, read_object, require_format

PASSED = "passed"


def clearance(verdict_file: Path, manifest_file: Path, dataset: Path) -> dict[str, str]:
    """Check that the gate has passed exactly this data, and return the fingerprints that a trained model records.

    Args:
        verdict_file: verdict.json of the gate.
        manifest_file: manifest.json of the preprocessed data.
        dataset: folder of the dataset; it is compared too if it is there.

    Returns:
        "dataset_sha256", the fingerprint of the data, and "gate".

    Raises:
        DataError: if the gate has not judged the data, rejected it, or judged another version of it.
    """
    name = dataset.name
    prepared = dataset_sha256(manifest_file)
    try:
        verdict = read_object(verdict_file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"the gate has not judged '{name}': {verdict_file} cannot be read; run naslora run --domain {name}"
        ) from error
    # The first version wrote no number.
    found = verdict.get("format", 1)
    require_format(found, VERDICT_FORMAT, verdict_file, f"judge again: naslora run --domain {name}", DataError)
    if verdict.get("passed") is not True:
        raise DataError(f"{verdict_file} rejects the data; mend what naslora data check {name} names, and run it again")
    if verdict.get("dataset_sha256") != prepared:
        raise DataError(
            f"{manifest_file} was made from other data than {verdict_file} passed; run stages validate and "
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
