"""The event contract, and what is kept of rejected lines."""
