"""Predict images in batches of tiles and write their files; an unreadable image does not stop the others."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError
from naslora_core.geometry.tiling import Stitcher, Tiling
from naslora_core.progress import Progress
from naslora_core.sam.tiled import to_probabilities
from pipelines.predict.inputs import InputImage
from pipelines.predict.outputs import ImageOutput, OutputChoice
from pipelines.predict.pixels import read_for_model
from pipelines.predict.record import Row
from pipelines.predict.scores import to_text

Predict = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]

# An image in one piece is predicted at its own size, so that few large ones take as much memory as many small.
_BATCH_PIXELS = 12_000_000


@dataclass(frozen=True)
class TileChoice:
    """How large images are cut.

    Attributes:
        side: of the tiles for an image of a shape (H, W), in pixels; None is in one piece.
        overlap: share of a tile that its neighbour covers at least.
        has_logits: what is predicted and blended are logits (K, H, W), of which the probabilities are made then.
    """

    side: Callable[[tuple[int, int]], int | None]
    overlap: float
    has_logits: bool = False


def predict_files(
    predict: Predict,
    images: Sequence[InputImage],
    tiles: TileChoice,
    choice: OutputChoice,
    batch_size: int,
    progress: Progress,
    rows: list[Row],
    reading: ImageReading | None = None,
) -> None:
    """Write the files of every image that can be read.

    Args:
        predict: maps images (H, W, 3) uint8 to probabilities of the same size, (H, W) that a pixel is foreground or
            (K, H, W) that it is of each class; or to logits, see `TileChoice`.
        images: with different names.
        tiles: how large ones are cut.
        choice: what is written.
        batch_size: how many tiles or images are predicted at once.
        progress: called after each image, and during one with several tiles.
        rows: gets one for each image as soon as it is done, so that an interrupted run knows how far it came.
        reading: how the model's training images were read; None for plain ones of 8 bits.
    """
    before = len(rows)

    def finish(row: Row) -> None:
        rows.append(row)
        progress(len(rows) - before, len(images), "predicted")

    for batch in _batches(_pieces(images, tiles, choice, reading, finish), batch_size):
        started = time.perf_counter()
        predictions = predict([pixels for _, pixels in batch])
        seconds = (time.perf_counter() - started) / len(batch)
        for (image, _), prediction in zip(batch, predictions, strict=True):
            if (row := image.add(prediction, seconds)) is not None:
                finish(row)
        if (place := batch[-1][0].place) is not None:
            progress(len(rows) - before, len(images), place)


class _OpenImage:
    """An image whose tiles are being predicted, one after the other.

    Raises:
        DataError: if it cannot be read.
    """

    def __init__(
        self, image: InputImage, tiles: TileChoice, choice: OutputChoice, reading: ImageReading | None
    ) -> None:
        started = time.perf_counter()
        self._image = image
        self._pixels = read_for_model(image.path, reading)
        shape = (self._pixels.shape[0], self._pixels.shape[1])
        self._tiling = Tiling(shape, tiles.side(shape), tiles.overlap)
        self._has_logits = tiles.has_logits
        self._stitcher = Stitcher(self._tiling, most=None if tiles.has_logits else 1)
        self._output = ImageOutput(choice, image, self._pixels)
        self._added, self._seconds = 0, time.perf_counter() - started

    def pieces(self) -> Iterator[np.ndarray]:
        """Yield the pixels of every tile, in the order in which `add` expects their predictions."""
        return (tile.cut(self._pixels) for tile in self._tiling.tiles)

    @property
    def place(self) -> str | None:
        """The progress within this image, "name, tile 3 of 8"; None after its last tile."""
        count = len(self._tiling.tiles)
        return f"{self._image.name}, tile {self._added} of {count}" if self._added < count else None

    def add(self, prediction: np.ndarray, seconds: float) -> Row | None:
        """Add the next tile's prediction, which took `seconds`; the last one writes the files."""
        started = time.perf_counter()
        self._added += 1
        if (complete := self._stitcher.add(prediction)) is not None:
            top, rows = complete
            self._output.add(top, to_probabilities(rows) if self._has_logits else rows)
        is_last = self._added == len(self._tiling.tiles)
        written = self._output.write() if is_last else None
        self._seconds += seconds + time.perf_counter() - started
        if written is None:
            return None
        height, width = self._tiling.shape
        return Row(
            file=str(self._image.path), name=self._image.name, width=width, height=height, tiles=self._added,
            foreground_share=written.foreground_share, scores=to_text(written.scores),
            seconds=round(self._seconds, 4), status="predicted",
        )  # fmt: skip


_Piece = tuple[_OpenImage, np.ndarray]


def _pieces(
    images: Sequence[InputImage],
    tiles: TileChoice,
    choice: OutputChoice,
    reading: ImageReading | None,
    finish: Callable[[Row], None],
) -> Iterator[_Piece]:
    for image in images:
        try:
            opened = _OpenImage(image, tiles, choice, reading)
        except DataError as error:
            finish(Row(file=str(image.path), name=image.name, status="failed", message=str(error)))
            continue
        for pixels in opened.pieces():
            yield opened, pixels


def _batches(pieces: Iterable[_Piece], batch_size: int) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    for piece in pieces:
        size_px = sum(pixels.shape[0] * pixels.shape[1] for _, pixels in [*batch, piece])
        if batch and (len(batch) == batch_size or size_px > _BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch
