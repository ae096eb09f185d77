"""Evaluate models: metrics per image and of a whole set, and their uncertainty.

Knows nothing of training; reads predictions and files only.
"""
