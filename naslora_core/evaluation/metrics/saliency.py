"""Metrics of the salient-object literature: MAE, S-measure, E-measure and weighted F.

All use the probabilities as `Comparison.stretched` prepares them, and are aggregated as the mean over images.
"""

from weakref import WeakKeyDictionary

import numpy as np

from naslora_core.deferred import defer_package
from naslora_core.evaluation.metrics.metric import METRICS
from naslora_core.evaluation.segmented import Comparison

# Other metrics of this package need scikit-learn, which takes a second to import.
defer_package("py_sod_metrics")

from py_sod_metrics.sod_metrics import Emeasure, Smeasure, WeightedFmeasure  # noqa: E402

_BETAS_SQUARED = (1.0, 0.3)
# Both measures of a comparison, as long as that is there: an image's arrays are large.
_weighted: "WeakKeyDictionary[Comparison, tuple[float, ...]]" = WeakKeyDictionary()


@METRICS.define(
    "mae",
    title="MAE",
    definition="Mean absolute difference over all pixels between the truth and the probabilities, these "
    "stretched to 0 to 1 as in the saliency literature; 0 if both are empty.",
    higher_is_better=False,
)
def mae(comparison: Comparison) -> float:
    """Return mean |stretched probability - truth|, 0..1, lower is better; uses the probabilities alone.

    Two empty masks score the mean probability, 0 for a prediction of zeros.
    """
    prediction, truth = comparison.labelled
    return float(np.mean(np.abs(prediction - truth)))


class _BorderSafeSmeasure(Smeasure):
    """PySODMetrics' S-measure, also defined where the object touches the last row or column.

    There a quadrant has no pixels and no weight, but its score is 0/0 upstream, and 0 * NaN is NaN.
    """

    def ssim(self, pred: np.ndarray, gt: np.ndarray) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


@METRICS.define(
    "s_measure",
    title="S-measure",
    definition="Structural similarity of the probabilities and the truth, half by object and half by region "
    "(Fan et al. 2017); for an empty truth one minus the mean probability, so 1 if both are empty.",
)
def s_measure(comparison: Comparison) -> float:
    """Return 0.5 * object similarity + 0.5 * region similarity, 0..1 (Fan et al., ICCV 2017).

    It uses the probabilities alone. Two empty masks score 1 - mean(probability), which is 1 for a prediction of
    zeros. It is S-alpha of the Conv-LoRA tables (alpha = 0.5). Where nobody labelled, prediction and truth are both
    background; if all that is labelled is alike, it is left out.
    """
    prediction, truth = comparison.labelled
    if truth.any() and not truth.all():
        prediction, truth = comparison.stretched, comparison.truth
    measure = _BorderSafeSmeasure(alpha=0.5)
    measure.step(prediction, truth, normalize=False)
    return float(measure.sms[0])


@METRICS.define(
    "e_measure",
    title="E-measure",
    definition="Enhanced alignment of the thresholded prediction and the truth, mean over 256 thresholds "
    "(Fan et al. 2018); at threshold 0 everything is foreground, so even a perfect prediction scores "
    "a little less than 1, and two empty masks about 0.996.",
)
def e_measure(comparison: Comparison) -> float:
    """Return the mean of the E-measure curve, 0..1 (Fan et al., IJCAI 2018); uses the probabilities alone.

    It is agreement by pixel and as a whole. Two empty masks of N pixels score 255/256 * N / (N - 1), as the measure
    divides by N - 1. It is the E-phi of the Conv-LoRA tables.
    """
    measure = Emeasure()
    measure.step(*comparison.labelled, normalize=False)
    return float(np.mean(measure.changeable_ems[0]))


@METRICS.define(
    "weighted_f_b1",
    title="Weighted F (β²=1)",
    definition="Weighted F-measure with β² = 1, as in the camouflage literature (Margolin et al. 2014); "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b1(comparison: Comparison) -> float:
    """Return the weighted F-measure with beta squared = 1, 0..1, PySODMetrics' own choice.

    Two empty masks score 1.
    """
    return _weighted_f(comparison)[0]


@METRICS.define(
    "weighted_f_b03",
    title="Weighted F (β²=0.3)",
    definition="Weighted F-measure with β² = 0.3, the F-measure of Conv-LoRA's tables; "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b03(comparison: Comparison) -> float:
    """Return the weighted F-measure with beta squared = 0.3, 0..1, as AutoGluon computes its "fm".

    Two empty masks score 1.
    """
    return _weighted_f(comparison)[1]


def _weighted_f(comparison: Comparison) -> tuple[float, ...]:
    if comparison not in _weighted:
        _weighted[comparison] = _measure_weighted_f(comparison)
    return _weighted[comparison]


def _measure_weighted_f(comparison: Comparison) -> tuple[float, ...]:
    """Return the weighted F-measure for each of `_BETAS_SQUARED` (Margolin et al., CVPR 2014)."""
    prediction, truth = comparison.stretched, comparison.truth
    if not truth.any():
        # Upstream gives 0 even to a perfect empty prediction.
        return (float(not comparison.predicted.any()),) * len(_BETAS_SQUARED)
    # PySODMetrics calls it beta; in its formula, the last step of a long computation, it stands where beta squared
    # belongs. An array there gives both measures for the price of one.
    measure = WeightedFmeasure(beta=np.array(_BETAS_SQUARED))
    measure.step(prediction, truth, normalize=False)
    return tuple(measure.weighted_fms[0].tolist())
