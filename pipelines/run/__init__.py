"""A run of the project: which domains, the gate, `dvc repro`, promotion, and what is wrong with the machine."""
