"""Predict many image files: the work of `naslora predict`."""
