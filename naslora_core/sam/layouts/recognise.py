"""Recognise the layout of a checkpoint, and convert its weights to the family's own keys."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from naslora_core.errors import CheckpointError, shorten
from naslora_core.sam.layouts import LAYOUTS, Converted, Layout, Size
from naslora_core.sam.layouts.folder import require_same_config, weight_files
from naslora_core.sam.layouts.reading import read_checkpoint
from naslora_core.sam.layouts.unknown import describe_unknown
from naslora_core.sam.layouts.unwrap import Unwrapped, in_float32, unwrap
from naslora_core.sam.specs import MODEL_SPECS

# A seed of the parts that a file does not hold: a base has to be the same whenever it is built.
FRESH_SEED = 0


@dataclass(frozen=True)
class Recognised:
    """A checkpoint, understood.

    Attributes:
        family: "sam", "mobile_sam", "sam2" or "sam3".
        size: a value of `model.name`; "" if the project has no model of that size.
        seen: what the shapes say of its size, in words.
        layout: a name of `LAYOUTS`.
        weights: in float32, by the keys that strict loading of the family expects.
        keys: how many tensors the file holds.
        taken_off: wrappers and prefixes that were around the weights, from the outside in.
        left_out: what is not used, in words, with counts.
        fresh: parts that the file does not hold and that start from `FRESH_SEED`, as beginnings of keys.
        precision: of the file: "float16"; several are joined by "and".
    """

    family: str
    size: str
    seen: str
    layout: str
    weights: dict[str, Tensor]
    keys: int
    taken_off: tuple[str, ...]
    left_out: tuple[str, ...]
    fresh: tuple[str, ...]
    precision: str

    def in_a_line(self) -> str:
        """Return in a line what was recognised, for progress and logs."""
        remarks = [f"in {self.precision}, read as float32"] if self.precision != "float32" else []
        remarks += [f"left out {words}" for words in self.left_out]
        remarks += [f"{part} starts fresh from seed {FRESH_SEED}" for part in self.fresh]
        about = f"{self.layout}, {self.size or self.seen}, {self.keys} tensors"
        return "; ".join([about, *remarks])

    def as_rows(self) -> list[tuple[str, str]]:
        """Return what was recognised as rows of a table: what, and what was found."""
        return [
            ("layout", self.layout),
            ("family", self.family),
            ("size", f"{self.size or 'none that is known here'} ({self.seen})"),
            ("tensors", str(self.keys)),
            ("precision", self.precision if self.precision == "float32" else f"{self.precision}, read as float32"),
            ("taken off", ", ".join(self.taken_off) or "nothing"),
            ("left out", "; ".join(self.left_out) or "nothing"),
            ("starts fresh", f"{', '.join(self.fresh)} from seed {FRESH_SEED}" if self.fresh else "nothing"),
        ]


def recognise(path: Path) -> Recognised:
    """Read a weight file, or a folder of Hugging Face, and say what it is.

    Args:
        path: a file (.safetensors, .pth, .pt, .bin, .ckpt), or a folder with config.json and weights, whole or in
            shards.

    Raises:
        CheckpointError: if it cannot be read safely, or has no known layout; the message says what was found.
    """
    # A named pipe, too, would be waited for without end.
    if not (path.is_file() or path.is_dir()):
        raise CheckpointError(f"{path} not found; give the path of a weight file or of a folder of Hugging Face")
    content = read_checkpoint(path)
    try:
        found = unwrap(content)
        if not found.layout:
            raise CheckpointError(f"{path} has no known layout: its {describe_unknown(found.weights)}")
        layout = LAYOUTS[found.layout]
        converted, size = _convert(layout, found)
        weights, precision = in_float32(converted.weights)
    except ValueError as error:
        files = ", ".join(file.name for file in weight_files(path)) if path.is_dir() else path.name
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({files}): {error}") from error
    if size.name:
        require_same_config(path, layout.family, size.name, MODEL_SPECS[size.name])
    return Recognised(
        family=layout.family,
        size=size.name,
        seen=size.seen,
        layout=found.layout,
        weights=weights,
        keys=len(found.weights),
        taken_off=found.taken_off,
        left_out=(*found.left_out, *converted.left_out),
        fresh=converted.fresh,
        precision=precision,
    )


def _convert(layout: Layout, found: Unwrapped) -> tuple[Converted, Size]:
    try:
        converted = layout.convert(found.weights)
        return converted, layout.size(converted.weights)
    # Whatever a layout does with a tensor needs it to have its dimensions; torch raises these where it has not.
    except (RuntimeError, IndexError, TypeError) as error:
        reason = shorten((str(error) or type(error).__name__).splitlines()[0])
        raise ValueError(
            f"its names are those of {found.layout}, its tensors have other shapes ({reason}); save it again"
        ) from error
