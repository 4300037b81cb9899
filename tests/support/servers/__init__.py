"""Servers that Vigie talks to: Apache Kafka, Asterisk's manager, an identity provider."""
