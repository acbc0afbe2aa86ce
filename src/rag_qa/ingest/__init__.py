"""Paths to files, files to documents, documents to passages."""
