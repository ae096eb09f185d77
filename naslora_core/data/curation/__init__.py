"""Look after a dataset: describe it, split it anew, quarantine pairs, pack it, compare versions."""
