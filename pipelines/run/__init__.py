"""A pipeline run: domains, lock, gate, `dvc repro`, promotion; and `naslora doctor`."""
