"""Values to tables, pages and files for other tools."""
