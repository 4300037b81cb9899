"""The dashboard's /metrics for Prometheus: how old the shown data is, how the consumer is doing, and the campaigns.

Everybody who can reach the port may read how Vigie is doing. The figures of campaigns are for those who send the token
of a television, `Authorization: Bearer …`, and only those that this television may show.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from metrics import clock, readers
from metrics.authorisation.viewer import Viewer
from metrics.kpis.alert_figures import SEVERITIES
from metrics.published.alarms import KINDS
from metrics.readers import Board, CampaignNow
from pages.shared.marks import STALE_S
from pages.shared.ringing import ringing

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
        alarms = GaugeMetricFamily("vigie_alarms", "Alarms that ring, from the relation `alarms`.", labels=("kind",))
        for kind in KINDS:  # a kind without an alarm is 0
            alarms.add_metric((kind,), feed.ringing.get(kind, 0))
        yield alarms
        for name, description, total in (
            ("vigie_records", "Kafka records read.", counts.records),
            ("vigie_events", "Events accepted, without duplicates.", counts.events),
            ("vigie_duplicates", "Events delivered again and counted once.", counts.duplicates),
            ("vigie_dead_letters", "Records and lines rejected.", counts.dead_letters),
        ):
            if total is not None:
                yield CounterMetricFamily(name, description, total)


class CampaignCollector(Collector):
    """The figures of a viewer's campaigns, as the wall shows them, and how many alerts fire. Undefined: no sample.

    While the data is old there are only the alerts about the feed: a wall turns grey, but Prometheus would take an old
    figure for a new one.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def collect(self) -> Iterator[Metric]:
        try:
            board = readers.board(readers.published(), self._viewer, ends_of=())
        except readers.PublishedFileError:
            board = None
        if board is None:
            return
        is_old = board.freshness.age_s(clock.now()) > STALE_S
        yield self._alerts(board, is_old)
        if is_old:
            return
        for name, description, labels, values_of in FIGURES:
            family = GaugeMetricFamily(f"vigie_campaign_{name}", description, labels=(*OF_CAMPAIGN, *labels))
            for live in board.campaigns:
                for label_values, value in values_of(live).items():
                    if value is not None:
                        family.add_metric((live.campaign.campaign, live.campaign.client, *label_values), value)
            yield family

    def _alerts(self, board: Board, is_old: bool) -> Metric:
        """Count the alerts that the bell counts. Those about the feed have no campaign and no client: both are ""."""
        clients = {} if is_old else {live.campaign.campaign: live.campaign.client for live in board.campaigns}
        if self._viewer.campaigns is None:
            clients[""] = ""
        now = ringing(self._viewer, clock.now())
        counts = Counter((alert.campaign or "", alert.severity) for alert in now.firing) if now else Counter()
        family = GaugeMetricFamily("vigie_alerts_firing", "Alerts that fire.", labels=(*OF_CAMPAIGN, "severity"))
        for campaign, client in clients.items():
            for severity in SEVERITIES:  # 0 if none fires
                family.add_metric((campaign, client, severity), counts[campaign, severity])
        return family


OF_CAMPAIGN = ("campaign", "client")
Values = dict[tuple[str, ...], float | None]


def _agents(live: CampaignNow) -> Values:
    """Return the agents by state; nothing if nobody is logged in: the campaign may have no data on agents."""
    agents = live.agents
    if agents is None or not agents.logged_in:
        return {}
    return {(state.name,): getattr(agents, state.name) for state in fields(agents)}


def _now_and_today(name: str) -> Callable[[CampaignNow], Values]:
    return lambda live: {("now",): getattr(live.now, name), ("today",): getattr(live.today, name, None)}


FIGURES: tuple[tuple[str, str, tuple[str, ...], Callable[[CampaignNow], Values]], ...] = (
    ("waiting_calls", "Callers who wait.", (), lambda live: {(): live.waiting}),
    ("longest_wait_seconds", "Longest wait of them.", (), lambda live: {(): live.longest_wait_s}),
    ("service_level_ratio", "Service level, 0 to 1.", ("window",), _now_and_today("service_level")),
    ("target_ratio", "Target of the service level, 0 to 1.", ("window",), _now_and_today("target")),
    ("offered_calls", "Calls offered in the window.", ("window",), _now_and_today("offered")),
    (
        "has_verdict", "1 when enough calls of the last minutes count in the service level to judge it.", (),
        lambda live: {(): not live.now.too_few_calls},
    ),
    ("open", "1 within the opening hours.", (), lambda live: {(): live.now.is_open}),
    ("agents", "Agents by state.", ("state",), _agents),
)  # fmt: skip
"""Name, description, labels, and a campaign's values by these labels; "now" is its last minutes, as on its tile."""


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


REGISTRY = CollectorRegistry()
REGISTRY.register(SnapshotCollector())
ProcessCollector(registry=REGISTRY)


def endpoint(viewer_of_token: Callable[[str], Viewer | None]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint, which answers in Prometheus's text format. `viewer_of_token`: token → whose it is."""

    async def metrics(request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        body = await run_in_threadpool(generate_latest, REGISTRY)
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            viewer = viewer_of_token(authorization.removeprefix("Bearer ").strip())
            if viewer is None:
                refusal = "This token is not known, or was revoked: python -m pages.accounts tv add NAME makes one.\n"
                return PlainTextResponse(refusal, 401, headers | {"WWW-Authenticate": "Bearer"})
            registry = CollectorRegistry()
            registry.register(CampaignCollector(viewer))
            body += await run_in_threadpool(generate_latest, registry)
        return Response(body, media_type=CONTENT_TYPE_LATEST, headers=headers)

    return metrics
