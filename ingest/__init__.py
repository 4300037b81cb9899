"""From Kafka to the published file: the event contract, the fold, the store, the publisher, and the sources."""
