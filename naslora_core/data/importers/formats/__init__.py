"""Formats that belong to no single dataset, one file each, such as COCO, YOLO and plain folders.

Copy `yolo.py` to add one: it reads a file of outlines and paints a mask for each image only when it is written.
Then import the new file in `importers/__init__.py`.
"""
