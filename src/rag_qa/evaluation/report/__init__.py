"""Reports: measures aggregated, and written as tables, pages and files for other tools."""
