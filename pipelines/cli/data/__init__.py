"""`naslora data`: import, look at, divide, put aside, compare and pack data."""
