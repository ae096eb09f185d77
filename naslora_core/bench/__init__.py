"""Methods side by side: which trainings a table consists of, what they cost, and what can be said about them."""
