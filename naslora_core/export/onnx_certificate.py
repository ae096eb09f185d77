"""The certificate of a quantised ONNX file: its masks on validation images, beside those of the file in float32."""

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from naslora_core.config import Section
from naslora_core.data.prepared.batches import make_batch
from naslora_core.data.prepared.crops import as_squares
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.export.graph import INPUT, OUTPUTS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# As many as the certificate of a merge compares.
_MOST_IMAGES = 64


class OnnxCertificate(Section):
    """Measured differences between an ONNX file in float32 and the quantised one, on the validation split.

    Attributes:
        quantise: "fp16" or "int8".
        images: number of images, or parts of whole ones, that were compared, without padding and pixels that
            nobody labelled.
        images_with_masks: those of them where either file finds an object; the IoU is of these.
        mask_iou_mean: mean over images of the IoU of both files' masks, each the mean over the classes found; pixels
            belong to the most probable class, which is a probability above 0.5 for one class.
        mask_iou_worst: of the worst image, which is `worst_image`.
        least_mask_iou_mean: what was asked for.
        class_agreement: share of pixels of the same class.
        max_logit_difference: largest absolute difference of low-resolution mask logits.
        relative_logit_difference: the same, over the largest absolute logit.
        bytes: of both files; 0 before they are written.
    """

    quantise: str
    images: int
    images_with_masks: int
    mask_iou_mean: float
    mask_iou_worst: float
    worst_image: str
    least_mask_iou_mean: float
    class_agreement: float = Field(ge=0, le=1)
    max_logit_difference: float
    relative_logit_difference: float
    bytes: dict[str, int] = Field(default_factory=dict)

    def notes(self) -> dict[str, Any]:
        """Return the certificate as the file beside the model holds it."""
        return self.model_dump()

    def facts(self) -> dict[str, str]:
        """Return what the metadata of the model says of it."""
        scores = {"mask_iou_mean": f"{self.mask_iou_mean:.4f}", "mask_iou_worst": f"{self.mask_iou_worst:.4f}"}
        return {"quantise": self.quantise, "images": str(self.images), **scores}

    def with_sizes(self, float32: int, quantised: int) -> "OnnxCertificate":
        """Return the certificate with the sizes of the two files in bytes."""
        return self.model_copy(update={"bytes": {"float32": float32, self.quantise: quantised}})

    def rejected(self) -> str:
        """Return why the file must not be used, in words; "" if it may."""
        if self.images_with_masks == 0:
            return (
                f"neither float32 nor {self.quantise} finds an object on any of {self.images} validation images, so "
                "nothing can be said of its masks; train longer, or export without --quantise"
            )
        if not self.mask_iou_mean >= self.least_mask_iou_mean:
            other = "use --quantise fp16, or " if self.quantise == "int8" else ""
            return (
                f"its masks have a mean IoU of {self.mask_iou_mean:.4f} with those of float32 on "
                f"{self.images_with_masks} validation images, in the worst {self.mask_iou_worst:.4f} "
                f"({self.worst_image}), and at least {self.least_mask_iou_mean:g} was asked for; {other}lower "
                "--min-iou if such masks will do"
            )
        return ""

    def summary(self) -> str:
        """Return the certificate in a sentence."""
        sizes = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in self.bytes.items())
        return (
            f"mask IoU with float32 on {self.images_with_masks} validation images: mean {self.mask_iou_mean:.4f}, "
            f"worst {self.mask_iou_worst:.4f} ({self.worst_image}); {self.class_agreement:.3%} of pixels have the same "
            f"class; {sizes}"
        )


def compare(
    float32: "InferenceSession", quantised: "InferenceSession", validation: PreparedData, kind: str, least_iou: float
) -> OnnxCertificate:
    """Run two files on the same images, which are of the size that the files take, and return how far masks agree."""
    squares = as_squares(validation)
    count = min(len(squares), _MOST_IMAGES)
    agreeing, pixels, difference, largest = 0, 0, 0.0, 0.0
    scores: dict[int, float] = {}
    for row in range(count):
        batch = make_batch(squares, [row])
        inside = batch.valid[0, 0].numpy() > 0
        images = {INPUT: batch.images.numpy()}
        (before, ours), (after, theirs) = (session.run(list(OUTPUTS), images) for session in (float32, quantised))
        a, b = (most_probable(values[0])[inside] for values in (ours, theirs))
        agreeing, pixels = agreeing + int((a == b).sum()), pixels + a.size
        # Not Python's max(), which may lose what is no number.
        difference = float(np.maximum(difference, np.abs(before - after).max()))
        largest = max(largest, float(np.abs(before).max()))
        if classes := sorted((set(np.unique(a)) | set(np.unique(b))) - {0}):
            scores[row] = float(np.mean([_iou(a == label, b == label) for label in classes]))
    worst = min(scores, key=lambda row: scores[row], default=0)
    return OnnxCertificate(
        quantise=kind,
        images=count,
        images_with_masks=len(scores),
        mask_iou_mean=float(np.mean(list(scores.values()))) if scores else 0.0,
        mask_iou_worst=scores.get(worst, 0.0),
        worst_image=squares.names[worst],
        least_mask_iou_mean=least_iou,
        class_agreement=agreeing / max(pixels, 1),
        max_logit_difference=difference,
        relative_logit_difference=difference / max(largest, 1e-12),
    )


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """Return the class ids (H, W) of probabilities (K, H, W), 0 where the background is at least as probable."""
    background = 1 - probabilities.sum(axis=0)
    return np.where(probabilities.max(axis=0) > background, probabilities.argmax(axis=0) + 1, 0)


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
