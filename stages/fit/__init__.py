"""Whether a stage's inputs were made with its settings: it is refused before it begins if they were not."""
