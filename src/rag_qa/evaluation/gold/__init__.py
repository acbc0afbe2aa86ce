"""Gold questions: reading, checking and making them; public collections."""
