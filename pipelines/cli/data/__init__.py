"""`naslora data`: import, show, split, quarantine, compare and pack data."""
