"""A SAM with adapters: attach to a base, save, load, switch on and off, warm start."""
