"""Analysts' own queries: their sandbox, the schema beside them, their results as a spreadsheet."""
