"""The dashboard's /metrics for Prometheus: how old the shown data is, and how the consumer is doing.

It has nothing about a campaign, a client or a person, so everybody who can reach the port may read it.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metrics import clock, readers
from metrics.authorisation.viewer import Viewer
from metrics.published.alarms import KINDS

MACHINE = Viewer(role="manager", campaigns=frozenset(), name="prometheus")


class SnapshotCollector(Collector):
    """The metrics of the snapshot that the pages show, read at each scrape."""

    def collect(self) -> Iterator[Metric]:
        try:
            feed = readers.feed(readers.published(), MACHINE)
        except readers.PublishedFileError:
            feed = None
        yield GaugeMetricFamily(
            "vigie_published", "1 when there is a snapshot that can be read.", int(feed is not None)
        )
        if feed is None:
            return
        age_s = (clock.now() - feed.freshness.published_at).total_seconds()
        counts = feed.counters
        for name, description, value in (
            ("vigie_snapshot_age_seconds", "Time since the snapshot was written.", age_s),
            ("vigie_as_of_timestamp_seconds", "Instant that the snapshot describes.", _seconds(feed.freshness.as_of)),
            ("vigie_last_event_timestamp_seconds", "Time of the latest event.", _seconds(feed.freshness.last_event_at)),
            ("vigie_lag_records", "Records not read yet.", counts.lag),
            ("vigie_publish_seconds", "Duration of the publish before this one.", counts.publish_s),
            ("vigie_store_bytes", "Size of the consumer's store on disk.", counts.store_bytes),
            ("vigie_published_bytes", "Size of what is published, history included.", counts.published_bytes),
            ("vigie_disk_free_bytes", "Free space on the disk.", counts.disk_free_bytes),
            ("vigie_foreign_logs", "DuckDB logs of others beside the published file.", len(feed.foreign_logs)),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, description, value)
        ringing = GaugeMetricFamily("vigie_alarms", "Alarms that ring, from the relation `alarms`.", labels=("kind",))
        for kind in KINDS:  # a kind without an alarm is 0
            ringing.add_metric((kind,), feed.ringing.get(kind, 0))
        yield ringing
        for name, description, total in (
            ("vigie_records", "Kafka records read.", counts.records),
            ("vigie_events", "Events accepted, without duplicates.", counts.events),
            ("vigie_duplicates", "Events delivered again and counted once.", counts.duplicates),
            ("vigie_dead_letters", "Records and lines rejected.", counts.dead_letters),
        ):
            if total is not None:
                yield CounterMetricFamily(name, description, total)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


REGISTRY = CollectorRegistry()
REGISTRY.register(SnapshotCollector())
ProcessCollector(registry=REGISTRY)


async def metrics(request: Request) -> Response:
    """Answer in Prometheus's text format."""
    body = await run_in_threadpool(generate_latest, REGISTRY)
    return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
