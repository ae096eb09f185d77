"""Published datasets as their authors lay them out, each with an importer of its own."""
