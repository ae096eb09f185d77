"""Bench tables: which trainings a table consists of, their costs, and the statistics of their scores."""
