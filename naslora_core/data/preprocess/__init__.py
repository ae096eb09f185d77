"""Preprocess a dataset into arrays of the size SAM sees; what has not changed is taken from the earlier output."""
