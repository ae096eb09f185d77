"""Masks for many images: files in, files out."""
