"""At which scale a model should see a dataset: the gate's suggestion, which preprocessing and training depend on.

The same data and model size give the same bytes.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from naslora_core.errors import DataError
from naslora_core.files import write_json
from naslora_core.reading import read_model

VIEW_FILE = "view.json"
FORMAT: Literal[1] = 1
View = Literal["whole", "crops"]


class SuggestedView(BaseModel):
    """What `train.view`, `train.detail` and `train.loss` are where they are "auto".

    Attributes:
        view: "whole" images shrunk to the model's input, or "crops" of it at the images' own scale.
        has_thin_objects: whether objects are narrower than what a mask of the model's own resolution can show.
        needs_detail: whether they are narrow enough for their outlines to gain from a finer mask; thin ones are.
        reason: why, in one sentence with the numbers it rests on.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = FORMAT
    view: View
    has_thin_objects: bool
    needs_detail: bool
    reason: str


def write_view(path: Path, view: SuggestedView) -> None:
    """Write view.json."""
    write_json(path, view.model_dump())


def read_view(path: Path) -> SuggestedView:
    """Read view.json.

    Raises:
        DataError: if the file cannot be read or is of another version.
    """
    return read_model(path, SuggestedView, FORMAT, "run stage validate", DataError)
