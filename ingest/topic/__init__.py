"""Kafka: reading a topic alone or in a group, writing to it, and the embedded broker."""
