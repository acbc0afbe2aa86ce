"""Checks retrieval against questions with known answers, with statistics."""
