"""Readers of the layouts next door, which register nothing: regions and features."""
