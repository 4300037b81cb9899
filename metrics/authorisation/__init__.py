"""The viewer, and what they may see."""
