"""What calls are at an instant, and again under another configuration; alarms."""
