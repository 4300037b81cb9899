"""What several pages draw with: texts, names, marks, links, the selection bar, tables."""
