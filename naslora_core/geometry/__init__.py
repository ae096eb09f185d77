"""Where things lie in an image: SAM's square, tiles, polygons."""
