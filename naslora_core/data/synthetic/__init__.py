"""Procedurally generated images: scenes to pre-train on, and sample domains to adapt to."""
