"""What sources read: files, logs that go on, topics, JSON documents; and the place that was reached."""
