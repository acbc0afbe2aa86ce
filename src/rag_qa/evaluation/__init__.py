"""Evaluation: checks retrieval against questions with known answers, with statistics."""
