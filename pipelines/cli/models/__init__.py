"""The commands on model versions."""
