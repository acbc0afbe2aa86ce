"""The HTTP service: a Litestar application over one engine."""
