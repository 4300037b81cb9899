"""The snapshot: what it says of its own making, and what others leave beside it."""
