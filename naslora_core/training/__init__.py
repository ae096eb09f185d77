"""Search and train: two optimisers that take turns on a prompt-free SAM with adapters."""
