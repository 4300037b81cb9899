"""What the readers return, and to whom."""
