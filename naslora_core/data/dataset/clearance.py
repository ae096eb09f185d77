"""The gate's word on a dataset: all of its verdict that whatever works with the data depends on.

Thresholds, warnings and findings are not in it, so that a changed threshold that the data still meets changes nothing.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from naslora_core.errors import DataError
from naslora_core.files import write_json
from naslora_core.reading import read_object, require_format

CLEARANCE_FILE = "clearance.json"
FORMAT: Literal[1] = 1


class Clearance(BaseModel):
    """Whether the gate lets a version of a dataset pass.

    Args:
        format: number of the format.
        passed: whether it does.
        dataset: its name.
        dataset_sha256: fingerprint of the version.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    format: Literal[1] = FORMAT
    passed: bool
    dataset: str = ""
    dataset_sha256: str


def write_clearance(path: Path, passed: bool, dataset: str, dataset_sha256: str) -> None:
    """Write clearance.json; the same data and the same decision give the same bytes."""
    write_json(path, Clearance(passed=passed, dataset=dataset, dataset_sha256=dataset_sha256).model_dump())


def read_clearance(path: Path, name: str) -> Clearance:
    """Read clearance.json.

    Args:
        path: the file.
        name: of the dataset, for messages.

    Raises:
        DataError: if the gate has not judged the data, or rejected it.
    """
    again = f"run naslora run --domain {name}"
    try:
        content = read_object(path)
        # The first version wrote no number.
        require_format(content.get("format", 1), FORMAT, path, f"judge again: {again.removeprefix('run ')}", DataError)
        found = Clearance.model_validate(content)
    except (OSError, ValueError) as error:
        reason = "lacks what it must hold" if isinstance(error, ValidationError) else "cannot be read"
        raise DataError(f"the gate has not judged '{name}': {path} {reason}; {again}") from error
    if not found.passed:
        raise DataError(f"{path} rejects the data; mend what naslora data check {name} names, and {again}")
    return found
