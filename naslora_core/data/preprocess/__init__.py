"""Preprocess a dataset into arrays of SAM's input size; unchanged rows are taken from the earlier output."""
