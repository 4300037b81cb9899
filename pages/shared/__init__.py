"""Shared by several pages: texts, names, verdicts, marks, links, choices, the selection, tables, charts and ticks."""
