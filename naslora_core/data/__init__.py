"""Images and their masks: how they lie on disk, are split, brought in, generated and made ready."""
