"""Every metric of a whole set, by name. Adding one is one file here and one import below."""

from naslora_core.evaluation.set_metrics import ber_set, ece, iou_set, miou
from naslora_core.evaluation.set_metrics.set_metric import SET_METRICS, SetMeasure, SetMetric

__all__ = ["SET_METRICS", "SetMeasure", "SetMetric", "ber_set", "ece", "iou_set", "miou"]
