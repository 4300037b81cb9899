"""The figures, their SQL, and the configuration; the readers in a room of their own."""
