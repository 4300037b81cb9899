"""The figures, their SQL, and what reads them."""
