"""Masks of images, against a loop over segment-anything's own predictor."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.against.compare import Comparison, Measure, Sample, Target, take_turns
from benchmarks.against.row import Options, Row

# Of a round; images a second is what counts.
IMAGES = 2
# As large as a camera's, and as what screens show.
SIZE = (720, 960)


def generated_images(count: int) -> list[np.ndarray]:
    """Return smooth noise, (720, 960, 3) uint8 each, whose masks are regions and no dust."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, SIZE[0] // 60, SIZE[1] // 60, 3)).astype(np.float32)
    return [np.kron(image, np.ones((60, 60, 1), np.float32)).astype(np.uint8) for image in coarse]


def _predict(options: Options) -> Comparison:
    import torch
    from segment_anything import SamPredictor

    from benchmarks.against.rivals.official_sam import build_official
    from naslora_core.predict import Predictor
    from naslora_core.sam.build import build_sam

    torch.set_num_threads(options.threads)
    images = generated_images(IMAGES)
    official = build_official("vit_b", 1024).requires_grad_(False)
    sam = build_sam("vit_b")
    sam.load_state_dict(official.state_dict())
    ours, theirs = Predictor(sam, "bf16"), SamPredictor(official)

    def our_masks() -> list[np.ndarray]:
        return [probabilities > 0.5 for probabilities in ours(images)]

    def their_masks() -> list[np.ndarray]:
        masks = []
        for image in images:
            theirs.set_image(image)
            masks.append(theirs.predict(multimask_output=False)[0][0])
        return masks

    found = take_turns(_timed(our_masks), {"SamPredictor fp32": _timed(their_masks)}, options.rounds)
    agreement = [_iou(*pair) for pair in zip(our_masks(), their_masks(), strict=True)]
    speed = [IMAGES / sample.wall_s for sample in found.ours]
    notes = [
        f"IoU of the masks: {min(agreement):.4f} at least, {np.mean(agreement):.4f} on average",
        f"{IMAGES} images of {SIZE[1]} x {SIZE[0]} a round; {np.median(speed):.2f} images a second",
    ]
    return Comparison(found.ours, found.others, notes)


def _timed(work: Callable[[], Sequence[np.ndarray]]) -> Measure:
    def run() -> Sample:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return Sample(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def _iou(ours: np.ndarray, theirs: np.ndarray) -> float:
    either = (ours | theirs).sum()
    return float((ours & theirs).sum() / either) if either else 1.0


ROWS = {
    "predict": Row(
        "masks of images by vit_b in bf16, as `naslora predict` makes them",
        "a loop over segment-anything's SamPredictor in float32",
        (Target("cpu", 0.2),),
        _predict,
    ),
}
