"""Maintain a dataset: describe it, split it again, quarantine pairs, pack it, compare versions."""
