"""How stored values of an image become grey levels: which bands are shown, and which values are black and white."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from naslora_core.errors import CheckpointError

# Conversion in pieces, so that a large image is held in float64 in part only.
_ROWS_AT_ONCE = 256
WHITE = 255
MOST_BANDS = 65535


class ValueRange(BaseModel):
    """Which stored values become black and white, for all bands alike: two values, or two percentiles of each image.

    Attributes:
        low: this value and all below are 0.
        high: this value and all above are 255.
        percentiles: of the values that an image has in the chosen bands, 0..100, in the place of `low` and `high`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: StrictInt | StrictFloat | None = None
    high: StrictInt | StrictFloat | None = None
    percentiles: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> "ValueRange":
        if (self.low is None or self.high is None) == (self.percentiles is None) or (
            self.percentiles is not None and (self.low is not None or self.high is not None)
        ):
            raise ValueError("give low and high, both stored values, or percentiles, such as [0.1, 99.9]")
        first, last = self.percentiles or (self.low, self.high)
        if first is None or last is None or not np.isfinite([first, last]).all() or not first < last:
            raise ValueError(f"a range goes from a smaller number to a larger one; found {first} and {last}")
        if self.percentiles is not None and not (first >= 0 and last <= 100):
            raise ValueError(f"percentiles lie between 0 and 100; found {first:g} and {last:g}")
        return self

    def of(self, bands: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return the values that become black and white in an image with these bands, each (H, W)."""
        if self.low is not None and self.high is not None:
            return float(self.low), float(self.high)
        values = np.concatenate([band[np.isfinite(band)] for band in bands])
        if not values.size:
            return 0.0, 1.0
        low, high = (float(value) for value in np.percentile(values, self.percentiles or (0, 100)))
        if low == high:
            # A few bright spots on an even ground lie above any percentile.
            low, high = float(values.min()), float(values.max())
        return low, high

    def __str__(self) -> str:
        if self.percentiles is not None:
            return f"{{percentiles: [{self.percentiles[0]:g}, {self.percentiles[1]:g}]}}"
        return f"{{low: {self.low}, high: {self.high}}}"


class ImageReading(BaseModel):
    """How images of more than 8 bits, of floating point numbers or of other bands than red, green and blue are read.

    Attributes:
        bands: numbers of bands from 1 on: three, to be red, green and blue, or one, to be grey.
        range: which stored values become black and white.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bands: tuple[Annotated[StrictInt, Field(ge=1, le=MOST_BANDS)], ...]
    range: ValueRange

    @field_validator("bands")
    @classmethod
    def _one_or_three(cls, bands: tuple[int, ...]) -> tuple[int, ...]:
        if len(bands) not in (1, 3):
            raise ValueError(f"name one band, shown in grey, or three, as red, green and blue; found {len(bands)}")
        return bands

    def __str__(self) -> str:
        """Return the line of dataset.yaml."""
        return f"image: {{bands: [{', '.join(map(str, self.bands))}], range: {self.range}}}"

    def convert(self, bands: Sequence[np.ndarray]) -> np.ndarray:
        """Return stored values as RGB.

        Args:
            bands: those that `bands` names, in its order, each (H, W) of integers or floating point numbers.

        Returns:
            (H, W, 3) uint8. Of floating point numbers, what is not a number (NaN) is black.
        """
        low, high = self.range.of(bands)
        rgb = np.empty((*bands[0].shape, 3), dtype=np.uint8)
        for place in range(3):
            if place < len(bands):
                rgb[..., place] = to_grey(bands[place], low, high)
            else:
                rgb[..., place] = rgb[..., 0]
        return rgb


def parse_reading(content: Mapping[str, Any] | None, folder: Path) -> ImageReading | None:
    """Return the reading that a model carries; None if it carries none, which is for plain images of 8 bits.

    Args:
        content: as model.json and adapter.json hold it.
        folder: of the model.

    Raises:
        CheckpointError: if it makes no sense.
    """
    try:
        return None if content is None else ImageReading.model_validate(content)
    except ValidationError as error:
        reasons = "; ".join(detail["msg"] for detail in error.errors()[:5])
        raise CheckpointError(f"{folder} says amiss how images are read ({reasons}); train and merge again") from error


def to_grey(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values (H, W) as grey levels (H, W) uint8: round((value - low) / (high - low) * 255), within 0..255.

    Of halves the even neighbour is taken. What is not a number is 0; so is all where `low` is `high`.
    """
    if values.dtype.kind in "ui" and values.dtype.itemsize <= 2:
        # As many results as there are values: looking them up is several times as fast as computing them.
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        every = np.arange(1 << 8 * values.dtype.itemsize, dtype=unsigned).view(values.dtype.newbyteorder("="))
        found: np.ndarray = _scaled(every, low, high)[values.astype(every.dtype, copy=False).view(unsigned)]
        return found
    grey = np.empty(values.shape, dtype=np.uint8)
    for top in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        grey[rows] = _scaled(values[rows], low, high)
    return grey


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    inside = np.clip(values.astype(np.float64), low, high)
    scaled: np.ndarray = np.nan_to_num(np.rint((inside - low) / (high - low) * WHITE)).astype(np.uint8)
    return scaled
