"""Every metric of one image, by name; to add one, write it in its family's file, or import a new family here."""

from naslora_core.evaluation.metrics import boundary, overlap, saliency, thin
from naslora_core.evaluation.metrics.metric import METRICS, Metric, MetricRegistry

__all__ = ["METRICS", "Metric", "MetricRegistry", "boundary", "overlap", "saliency", "thin"]
