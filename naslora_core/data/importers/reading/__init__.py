"""Find out what the numbers of mask files mean: survey all files, choose a reading or refuse.

`survey.py` adds up what `data/dataset/mask_facts.py` measures of every file, `choose.py` decides by `kinds.py` and the
legends of `importers/legends/`, `asked.py` does what the options say, `by_legend.py` what the legend of a layout
prescribes, `refuse.py` words the choice, and `understood.py` holds the result with its table. A layout of mask files
calls `read_masks`.
"""
