"""Many trainings side by side: the jobs of a bench table, and its page."""
