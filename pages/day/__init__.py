"""A campaign's day."""
