"""The rows, by what they measure; a module has them by name in `ROWS`."""
