"""A SAM with adapters: attached to a base, saved, read back, switched on and off, and trained on from."""
