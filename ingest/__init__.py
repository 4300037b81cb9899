"""From Kafka to the published file: the event contract, the fold, the store, the publisher, and the sources."""

import metrics  # noqa: F401 - before anything here loads DuckDB: it says where the calendar is
