"""From events to calls, and the store that has them."""
