"""The published relations: columns, macros, comments, glossary, examples."""
