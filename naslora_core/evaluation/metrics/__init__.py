"""Every metric, by name. Adding one is one file here and one import below."""

from naslora_core.evaluation.metrics import dice, e_measure, iou, mae, s_measure, weighted_f
from naslora_core.evaluation.metrics.metric import METRICS, Metric

__all__ = ["METRICS", "Metric", "dice", "e_measure", "iou", "mae", "s_measure", "weighted_f"]
