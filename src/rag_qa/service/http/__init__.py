"""Checks that every request passes: hosts, origins, keys, limits, the queue, problems."""
