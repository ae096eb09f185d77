"""PEFT's tuners as adapter methods, `peft:<type>`."""
