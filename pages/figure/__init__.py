"""A figure explained, and the calls behind it."""
