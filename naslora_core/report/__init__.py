"""The report: one self-contained HTML page over all domains, reproducible to the byte."""
