"""Preprocessed arrays for training: shards on disk, batches, and the check that the gate has passed their data."""
