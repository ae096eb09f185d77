"""What a dataset is: its card, pairs, splits, groups, and how its masks are read."""
