"""The consumer's state over HTTP: /metrics for Prometheus, /healthz for a supervisor that restarts it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.errors import UsageError
from ingest.publishing.publish import Moment
from ingest.store.store import Totals
from metrics.published.alarms import KINDS

UNHEALTHY_AFTER_S = 60.0  # without a publish: even a consumer with nothing to read publishes every second
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Respond = Callable[[str, list[tuple[str, str]]], Any]


class Observed(Collector):
    """The state of a consumer. Written by the thread that folds and publishes, read by the threads that serve HTTP."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

        def measured(name: str, documentation: str) -> Histogram:
            return Histogram(name, documentation, registry=self.registry, buckets=SECONDS)

        self.fold_s = measured("vigie_fold_seconds", "One batch folded into the store.")
        self.judge_s = measured("vigie_judge_seconds", "Calls and agents judged for one publish.")
        self.publish_s = measured("vigie_publish_seconds", "One snapshot written.")
        self.settle_s = measured("vigie_settle_seconds", "Settled rows moved to the archive, if there were enough.")
        self._started_at = time.monotonic()
        self._published: tuple[float, Moment, Totals, int, Mapping[str, int], int] | None = None

    def published(
        self, moment: Moment, totals: Totals, store_bytes: int, alarms: Mapping[str, int], foreign_logs: int
    ) -> None:
        """Note what was just published: `alarms`, the active ones by kind; `foreign_logs`, those removed so far."""
        self._published = (time.monotonic(), moment, totals, store_bytes, alarms, foreign_logs)

    def silent_s(self) -> float:
        """Time since the last publish [s], or since the start if there was none."""
        return time.monotonic() - (self._published[0] if self._published else self._started_at)

    def collect(self) -> Iterator[Metric]:
        if self._published is None:
            return
        _, moment, totals, store_bytes, alarms, foreign_logs = self._published
        yield GaugeMetricFamily("vigie_snapshot_age_seconds", "Time since a snapshot was written.", self.silent_s())
        yield GaugeMetricFamily("vigie_store_bytes", "The store on disk.", store_bytes)
        as_of = moment.as_of.timestamp()
        yield GaugeMetricFamily("vigie_as_of_timestamp_seconds", "The instant at which figures are judged.", as_of)
        lag = GaugeMetricFamily("vigie_lag_records", "Records not read yet.", labels=("topic", "partition"))
        for partition, place in moment.places.items():
            lag.add_metric((partition.topic, str(partition.number)), place.lag)
        yield lag
        active_alarms = GaugeMetricFamily("vigie_alarms", "Alarms that ring: the relation `alarms`.", labels=("kind",))
        for kind in KINDS:  # 0 for a kind without alarms
            active_alarms.add_metric((kind,), alarms.get(kind, 0))
        yield active_alarms
        yield CounterMetricFamily("vigie_records", "Kafka records read.", totals.records)
        yield CounterMetricFamily("vigie_events", "Events accepted.", totals.lines - totals.duplicates)
        yield CounterMetricFamily("vigie_duplicates", "Events delivered again.", totals.duplicates)
        yield CounterMetricFamily("vigie_dead_letters", "Records and lines rejected.", totals.dead_letters)
        yield CounterMetricFamily(
            "vigie_foreign_logs_removed", "DuckDB logs of others, removed beside the published file.", foreign_logs
        )

    def serve(self, host: str, port: int) -> None:
        """Serve on `port` of `host`, in threads of its own, until the process ends. Raises UsageError."""
        serve_metrics = make_wsgi_app(self.registry)

        def route(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
            if environ["PATH_INFO"] == "/metrics":
                answer: Iterable[bytes] = serve_metrics(environ, respond)
                return answer
            if environ["PATH_INFO"] != "/healthz":
                return _respond_with(respond, "404 Not Found", "/metrics or /healthz")
            if (silent_s := self.silent_s()) > UNHEALTHY_AFTER_S:
                return _respond_with(respond, "503 Service Unavailable", f"nothing published for {silent_s:.0f} s")
            return _respond_with(respond, "200 OK", "ok")

        try:
            server = make_server(host, port, route, _Server, _Quiet)
        except (OSError, OverflowError) as error:
            raise UsageError(f"--metrics-port: {host}:{port} cannot be listened on ({error}).") from error
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _respond_with(respond: Respond, status: str, words: str) -> list[bytes]:
    respond(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [f"{words}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: Prometheus sends a request every few seconds."""
