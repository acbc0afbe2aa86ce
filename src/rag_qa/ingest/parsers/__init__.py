"""Bytes of a file to a document: one parser for each format."""
