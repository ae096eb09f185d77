"""What people draw with annotation tools, one file a format: labelme, Label Studio, CVAT, Datumaro.

Copy `datumaro.py` to add one: it reads the tool's file, and makes shapes that are painted when a mask is written. What
several of them need lies in `tools/`, which registers nothing. Then import the new file in `importers/__init__.py`.
"""
