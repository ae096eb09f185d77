"""Run the trainings of a bench table, and write its results."""
