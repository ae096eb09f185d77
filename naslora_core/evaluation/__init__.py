"""How good a model is: metrics per image, their uncertainty, pictures and the report.

Knows nothing of training; reads predictions and files only.
"""
