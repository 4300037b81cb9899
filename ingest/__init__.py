"""From Kafka to the published file: sources, the event contract, folding, the store, judging and publishing."""

import metrics  # noqa: F401 - before anything here loads DuckDB: it sets the folder of the zone rules
