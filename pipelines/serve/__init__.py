"""`naslora serve`: models behind a local web page and an HTTP endpoint."""
