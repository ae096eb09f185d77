"""The report: one HTML page over all domains, complete in itself, the same for the same results."""
