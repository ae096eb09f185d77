"""Images and their masks: how they lie on disk, are imported, split, generated and preprocessed."""
