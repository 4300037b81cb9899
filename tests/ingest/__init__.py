"""From records to published rows."""
