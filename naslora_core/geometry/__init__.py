"""Image geometry: SAM's padded square, tiles, polygons."""
