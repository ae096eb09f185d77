"""Read image files of any depth, bands and orientation, by what their headers say."""
