"""Segments as one immutable collection, of which one is current."""
