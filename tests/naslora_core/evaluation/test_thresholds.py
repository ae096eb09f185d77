import numpy as np
import pytest

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison, SegmentedImage, decide
from naslora_core.evaluation.thresholds import SWEPT, THRESHOLDS, ThresholdSweep


def test_every_threshold_gives_what_deciding_with_it_gives():
    rng = np.random.default_rng(2)
    # Steps of a twentieth put many pixels exactly on a threshold, where they are background.
    images = [(np.float32(rng.integers(0, 21, size) / 20), rng.integers(0, 2, size)) for size in ((8, 9), (12, 5))]
    images.append((np.float32(rng.random((7, 7))), np.zeros((7, 7), dtype=np.int64)))
    sweep = ThresholdSweep()
    for probability, truth in images:
        sweep.add(SegmentedImage(probability, decide(probability, 0.5), truth.astype(np.uint8), 1))
    table = sweep.table()
    assert list(table.columns) == ["threshold", "dice", "iou", "precision", "recall"]
    assert table["threshold"].tolist() == pytest.approx([step / 20 for step in range(1, 20)])
    for row, threshold in enumerate(THRESHOLDS):
        for name in SWEPT:
            scores = [
                METRICS[name].measure(Comparison(probability, decide(probability, float(threshold)) > 0, truth))
                for probability, truth in images
            ]
            assert table[name][row] == pytest.approx(np.mean(scores)), (name, threshold)


def test_of_several_classes_the_sweep_asks_for_any():
    probability = np.array([[[0.3, 0.1]], [[0.3, 0.2]]], dtype=np.float32)
    sweep = ThresholdSweep()
    sweep.add(SegmentedImage(probability, decide(probability, 0.5), np.array([[1, 0]], dtype=np.uint8), 2))
    by_threshold = sweep.table().set_index("threshold")["precision"]
    assert by_threshold.iloc[4] == 1 / 2  # 0.25: both pixels
    assert by_threshold.iloc[9] == 1  # 0.5: the first, of which 0.6 is foreground
