"""Ranked passages to an answer that can be checked."""
