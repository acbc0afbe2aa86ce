"""Knowledge from text alone: no disk, no model."""
