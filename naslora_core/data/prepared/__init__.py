"""The arrays that training reads: on disk, as batches, and whether the gate has passed their data."""
