"""One run: what changed is read, chunked and encoded, and becomes a new snapshot."""
