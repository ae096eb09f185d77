"""Helpers of the importers; nothing here registers one.

Most published datasets need `folder_pairs.py` alone, which pairs the files of image and mask folders. Formats that
list objects make `shapes.py`, which `painting.py` layers into masks, and use `object_formats.py`.
"""
