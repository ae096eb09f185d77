"""Layouts in which every image has a file of its own with labels: masks, arrays, or the outlines of its objects.

Copy `nnunet.py` to add one whose masks hold values, or `qupath.py` for one with outlines; then import the new file
in `importers/__init__.py`.
"""
