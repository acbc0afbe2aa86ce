"""Acronyms and their long forms, found in documents and exchanged in questions."""
