"""What every request passes: hosts, origins, keys, limits, the queue, problems."""
