"""Images drawn by the project itself: scenes to pre-train on, and sample domains to adapt to."""
