"""Looking after a dataset: describe, divide anew, put aside, pack, compare versions."""
