"""All calls of the programs dvc and git, and readers of DVC's files."""
