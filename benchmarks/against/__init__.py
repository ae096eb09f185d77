"""Ratios against what a user would run instead: the commit before a change, or another library; one row each."""
