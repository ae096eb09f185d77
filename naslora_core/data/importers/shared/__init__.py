"""Helpers of the importers; nothing here registers one.

Most published datasets need `folder_pairs.py` alone, which pairs the files of image and mask folders. Formats that
list objects use `object_formats.py` and `rasterise.py`.
"""
