"""ECE: how far probabilities are from the frequencies they promise (Guo et al., ICML 2017)."""

from naslora_core.evaluation.calibration import Calibration
from naslora_core.evaluation.set_metrics.set_metric import set_metric


@set_metric(
    "ece",
    title="ECE of the set",
    definition="Expected calibration error: in 15 bins of the foreground's probability, the distance between its "
    "mean and the share of pixels that are foreground, weighted by the bin's pixels, those of all images pooled.",
    higher_is_better=False,
)
class ExpectedCalibrationError(Calibration):
    """Mean over all pixels of |mean probability - foreground share| of their bin, 0..1.

    Of several classes the foreground is any of them, so that a model which cannot tell them apart is measured alike.
    As torchmetrics' `BinaryCalibrationError(n_bins=15, norm="l1")`, but that a probability of exactly 1 is in the
    last bin here and in one of its own there. Source: arXiv:1706.04599, Eq. (3), of the probability of one outcome.
    """

    def __init__(self, class_count: int) -> None:
        super().__init__()

    def value(self) -> float:
        """Return the expected calibration error."""
        return self.expected_error()
