"""Charts of a run, drawn once for the page (SVG that follows its colours) and once as PNG."""
