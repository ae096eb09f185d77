"""The method of naslora: SAM, NAS-LoRA adapters, search, merge, data checks and metrics.

Knows nothing of DVC, Prefect or the pipeline's folders.
"""
