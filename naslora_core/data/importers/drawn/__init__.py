"""What people draw with annotation tools, one file a format: labelme, Label Studio, CVAT, Datumaro.

Copy `datumaro.py` to add one: it reads the tool's file, and makes shapes that are painted when a mask is written. What
several of them need lies in `readers/`, which registers nothing. Then import the new file
below.
"""

from naslora_core.data.importers.drawn import cvat, cvat_masks, datumaro, label_studio, label_studio_png, labelme

__all__ = ["cvat", "cvat_masks", "datumaro", "label_studio", "label_studio_png", "labelme"]
