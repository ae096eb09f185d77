"""Merge an adapter into its model, and certify the difference."""
