"""A run against another, against thresholds, and against itself with other settings."""
