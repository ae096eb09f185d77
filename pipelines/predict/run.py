"""One run of `naslora predict`: find the images and the model, predict, write the files and sum up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslora_core.config import Flips, load_params
from naslora_core.data.dataset.image_files.reading import parse_reading
from naslora_core.errors import ConfigError
from naslora_core.merge.merged import decide_threshold
from naslora_core.merge.training_images import TrainingImages, class_names, read_training, stored_reading
from naslora_core.predict import Predictor
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import file_sha256
from naslora_core.sam.inference import Inference
from naslora_core.sam.tiled import OVERLAP
from pipelines.predict.coco import write_coco
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import count_left_out, find_images, serving_folder
from pipelines.predict.mask_files import find_mask
from pipelines.predict.outputs import OutputChoice
from pipelines.predict.record import Row, RunSettings, begin, write_rows

# A tile of fewer pixels shows a model hardly anything.
_LEAST_TILE_PX = 32
# Of the tiles for a model of whole images.
_OVERLAP = 0.25


@dataclass(frozen=True)
class PredictRequest:
    """What the command line asks for; docs/predict.md explains each.

    None stands for what params.yaml says; of `overlap` for what suits the model.
    """

    images: Sequence[str]
    out: Path
    domain: str | None
    model: Path | None
    recursive: bool
    threshold: float | None
    tile: str
    overlap: float | None
    batch_size: int
    device: str
    precision: str | None
    mask_palette: str
    overlay: bool
    probability: str | None
    polygons: str | None
    resume: bool
    force: bool
    flips: Flips | None = None


@dataclass(frozen=True)
class PredictOutcome:
    """The outcome of a run; `rows` are of all requested images, and of those of the run it resumed.

    `precision` is that in which the model computed, "float32" or "bf16".
    """

    folder: Path
    rows: Sequence[Row]
    coco: Path | None
    precision: str
    left_out: str = ""

    @property
    def failed(self) -> list[Row]:
        """The images that could not be read."""
        return [row for row in self.rows if row.status == "failed"]

    def summary(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        counts = {status: sum(row.status == status for row in self.rows) for status in ("predicted", "kept")}
        seconds = sum(row.seconds or 0 for row in self.rows if row.status == "predicted")
        failed = [{"file": row.file, "message": row.message} for row in self.failed]
        files = {"out": str(self.folder), "coco": str(self.coco) if self.coco else None}
        about = {"precision": self.precision, "seconds": round(seconds, 3), "left_out": self.left_out}
        return {**files, "images": len(self.rows), **counts, **about, "failed": failed}

    def lines(self) -> list[str]:
        """Return the outcome as text: what is done, a table of failures, and where the files are."""
        done = [row for row in self.rows if row.status != "failed"]
        kept, tiled = sum(row.status == "kept" for row in done), sum((row.tiles or 1) > 1 for row in done)
        remarks = [f"{kept} of an earlier run"] * bool(kept) + [f"{tiled} in tiles"] * bool(tiled)
        computed = f"computed in {self.precision}"
        lines = [f"{len(done)} mask{'' if len(done) == 1 else 's'} in {self.folder}, {computed}"] if done else []
        lines += [f"  {', '.join(remarks)}"] if remarks else []
        lines += [f"  {self.left_out}"] if self.left_out else []
        if self.failed:
            width = max(len(row.file) for row in self.failed)
            lines.append(f"{len(self.failed)} of {len(self.rows)} images failed:")
            lines += [f"  {row.file:{width}}  {row.message}" for row in self.failed]
        if done:
            overlay = self.folder / f"{done[0].name}_overlay.png"
            lines.append(f"Next: look at {overlay if overlay.is_file() else find_mask(self.folder, done[0].name)}")
        return lines


def run(request: PredictRequest, root: Path, progress: Progress) -> PredictOutcome:
    """Predict the images of a request; predictions.csv is written even if the run is interrupted.

    Args:
        request: what to do.
        root: the project's folder.
        progress: called after each image.

    Raises:
        ConfigError: if an option makes no sense, or files would be overwritten; nothing is written then.
        DataError: if the inputs name no images.
    """
    params = load_params(root / "params.yaml")
    folder = serving_folder(root, request.domain, request.model)
    images = find_images(request.images, request.recursive, request.out)
    asked = params.evaluate.threshold if request.threshold is None else request.threshold
    threshold = decide_threshold(asked, folder)
    choice = OutputChoice(
        request.out, threshold, class_names(folder), request.overlay, request.probability,
        has_polygons=request.polygons == "geojson", has_palette=request.mask_palette == "classes",
        has_coco=request.polygons == "coco",
    )  # fmt: skip
    inference = Inference(request.flips or params.evaluate.flips, params.evaluate.overlap)
    predictor = Predictor.merged(folder, request.precision or params.model.precision, request.device, inference)
    sees_parts = predictor.window is not None
    overlap = params.evaluate.overlap if request.overlap is None and sees_parts else request.overlap
    tiles = choose_tiles(request.tile, overlap, read_training(folder), predictor.window)
    settings = RunSettings(
        model_sha256=file_sha256(folder / "model.safetensors"), threshold=threshold,
        tile=request.tile, overlap=tiles.overlap, precision=predictor.precision, mask_palette=request.mask_palette,
        flips=inference.flips,
    )  # fmt: skip
    rows, left = begin(images, choice, settings, request.resume, request.force)
    try:
        predict_files(
            predictor.logits_of_pieces if tiles.has_logits else predictor,
            left,
            tiles,
            choice,
            request.batch_size,
            progress,
            rows,
            parse_reading(stored_reading(folder), folder),
        )
    finally:
        write_rows(request.out, rows)
    coco = write_coco(request.out, rows, choice.classes) if choice.has_coco else None
    left_out = count_left_out(request.images, request.recursive, request.out)
    return PredictOutcome(request.out, rows, coco, predictor.precision, left_out)


def choose_tiles(tile: str, overlap: float | None, training: TrainingImages | None, window: int | None) -> TileChoice:
    """Return the tiling for a request.

    Args:
        tile: of a model that sees images whole, "auto" cuts what `TrainingImages.tile_side` says, and nothing if that
            is unknown; "off" cuts nothing; a number is the side of a tile in pixels. Of one that sees parts, "auto"
            is tiles of what its input shows, and a number makes them smaller.
        overlap: share of a tile, 0..0.5; None is what suits the model.
        training: sizes of the images that the model was trained on; None if they are unknown.
        window: see `Predictor.window`.

    Raises:
        ConfigError: if `tile` is neither a word it knows nor a number that is large enough, or the model cannot see
            what it asks for.
    """
    if tile not in ("auto", "off") and (not tile.isdecimal() or int(tile) < _LEAST_TILE_PX):
        raise ConfigError(f"--tile is '{tile}'; use auto, off, or a side in pixels from {_LEAST_TILE_PX} on")
    if window is not None:
        return _tiles_of_parts(tile, OVERLAP if overlap is None else overlap, window)
    overlap = _OVERLAP if overlap is None else overlap
    if tile == "auto" and training is not None:
        return TileChoice(training.tile_side, overlap)
    return TileChoice(lambda _: int(tile) if tile.isdecimal() else None, overlap)


def _tiles_of_parts(tile: str, overlap: float, window: int) -> TileChoice:
    # In one piece a larger image would be shrunk to a scale that the model has never seen.
    if tile == "off" or (tile != "auto" and int(tile) > window):
        raise ConfigError(
            f"--tile is {tile}, but the model was trained on crops and sees {window} px of an image at a time; use "
            f"auto, or a side up to {window}. Images no larger than that are not cut"
        )
    return TileChoice(lambda _: window if tile == "auto" else int(tile), overlap, has_logits=True)
