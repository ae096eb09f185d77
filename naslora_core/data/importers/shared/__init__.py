"""What importers share: pairs of files, objects, outlines painted into masks, tiles of scenes."""
