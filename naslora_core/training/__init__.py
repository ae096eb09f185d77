"""Search and train: two optimisers in stages over a prompt-free SAM with adapters."""
