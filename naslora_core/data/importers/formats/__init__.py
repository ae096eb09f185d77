"""General layouts and the files of annotation tools, each with an importer of its own."""
