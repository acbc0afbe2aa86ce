"""Gold questions: reads, checks and drafts them, and reads public collections."""
