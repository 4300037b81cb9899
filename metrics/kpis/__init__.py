"""The figures, and their assembly into SQL."""
