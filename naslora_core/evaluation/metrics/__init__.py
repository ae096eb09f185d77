"""Every metric of one image, by name. Adding one is one file here and one import below."""

from naslora_core.evaluation.metrics import (
    ber,
    boundary_iou,
    dice,
    e_measure,
    hd95,
    iou,
    mae,
    precision,
    recall,
    s_measure,
    weighted_f,
)
from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import METRICS, Metric

__all__ = [
    "METRICS",
    "Comparison",
    "Metric",
    "ber",
    "boundary_iou",
    "dice",
    "e_measure",
    "hd95",
    "iou",
    "mae",
    "precision",
    "recall",
    "s_measure",
    "weighted_f",
]
