"""Pre-train a small SAM such as sam_tiny on procedural scenes."""
