"""Comparisons: a run with another run, with thresholds, and with itself under other settings."""
