"""What can be known from text alone: no disk, no model."""
