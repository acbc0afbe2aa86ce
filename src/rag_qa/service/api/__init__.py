"""The HTTP interface for programs, and its description."""
