"""Measure a whole set of images in one pass and constant memory: set metrics, calibration, thresholds."""

from naslora_core.evaluation.calibration import Calibration
from naslora_core.evaluation.segmented import SegmentedImage
from naslora_core.evaluation.set_metrics import SET_METRICS
from naslora_core.evaluation.thresholds import ThresholdSweep


class WholeSet:
    """Set metrics, calibration and threshold sweep of one model.

    Args:
        class_count: how many classes there are beside the background.

    Attributes:
        calibration: the reliability diagram.
        thresholds: overlap metrics at other thresholds.
    """

    def __init__(self, class_count: int) -> None:
        self._measures = {name: SET_METRICS[name].measure(class_count) for name in SET_METRICS}
        self.calibration = Calibration()
        self.thresholds = ThresholdSweep()

    def add(self, image: SegmentedImage) -> None:
        """Add one more image."""
        for measure in self._measures.values():
            measure.add(image)
        self.calibration.add(image)
        self.thresholds.add(image)

    def scores(self) -> dict[str, float]:
        """Return every set metric by name."""
        return {name: measure.value() for name, measure in self._measures.items()}
