"""The data gate: measure every image and mask, check them with Great Expectations, and name the files that fail."""
