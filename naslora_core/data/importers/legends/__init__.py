"""Legends: which class a value or colour of a mask means, as other programs and well-known data sets write it.

`files.py` reads the files that lie beside masks, `known.py` holds the legends of data sets that need none.
"""
