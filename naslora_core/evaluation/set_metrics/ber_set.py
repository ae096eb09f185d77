"""BER of a set, the number of the shadow literature."""

from naslora_core.evaluation.set_metrics.pooled import PooledCounts, mean_where
from naslora_core.evaluation.set_metrics.set_metric import set_metric


@set_metric(
    "ber_set",
    title="BER of the set",
    definition="Mean of the error rates on the object's pixels and on the background's, those of all images pooled, "
    "0 to 1; of several classes the mean over those that occur in the truth.",
    higher_is_better=False,
)
class BalancedErrorOfSet(PooledCounts):
    """1 - (true positive rate + true negative rate) / 2 of all images' pixels, 0..1.

    As in papers on shadows, which multiply by 100; the metric `ber` is that of one image. If no image has an object
    it is the false positive rate.
    """

    def value(self) -> float:
        """Return the mean over the classes that occur in the truth."""
        counts = self.classes()
        return mean_where(counts.balanced_error, counts.wanted)
