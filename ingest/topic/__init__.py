"""Kafka: reading a topic, alone or in a group; writing to a topic; the embedded broker."""
