"""The families of Segment Anything, one module each, behind one small interface."""
