"""Indexing runs: parse, chunk and encode the files that changed, and write a new snapshot."""
