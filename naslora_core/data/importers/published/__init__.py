"""Published datasets as their authors lay them out, one file each.

Copy `camo.py` to add one: it states source, licence, split and layout, pairs the files and registers the importer.
Then import the new file in `importers/__init__.py`.
"""
