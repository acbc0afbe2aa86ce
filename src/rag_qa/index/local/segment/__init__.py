"""Some documents with all that is searched of them, written once."""
