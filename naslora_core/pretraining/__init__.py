"""Pre-train a small SAM on procedural scenes, so that there is something worth adapting."""
