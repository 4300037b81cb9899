"""Alert rules: when they fire and end, and what is published of them."""
