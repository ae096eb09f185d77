"""Pictures of images and masks: overlays, outlines, galleries, contact sheets, heat maps."""
