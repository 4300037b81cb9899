"""Shared by several pages: texts, names, marks, links, the selection bar, tables, charts and ticks."""
