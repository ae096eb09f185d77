"""Search and train a prompt-free SAM with adapters, by two alternating optimisers."""
