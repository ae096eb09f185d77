"""Find out what the numbers of mask files mean: survey all files, look for a legend, choose a reading or refuse.

`survey.py` measures the stored values of every file, `legends.py` reads what other programs write beside masks,
`known.py` holds the legends that whole data sets share, `choose.py` decides, and `report.py` says what was understood.
A layout of mask files calls `read_masks`.
"""
