"""Readers of the layouts next door, which register nothing: regions, features, and the values of masks."""
