"""The delay from the event that fires an alert to its message, at 1,500 events per second.

A call that enters the queue of a campaign of its own fires a rule on `waiting`. A receiver of webhooks notes when the
message about it has come whole.
"""

import datetime as dt
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench import figures
from bench.children import in_background, must_run, result_of
from bench.delay import HISTORY, LOOK_EVERY_S, RATE, SEEN_WITHIN_S, STARTED_WITHIN_S, Watch
from bench.figures import Measured, Row
from ingest.topic.broker import running_broker
from ingest.topic.producing import open_producer

SECONDS = 60
EVERY_S = 1.5
"""A call that fires an alert is sent this often [s]."""
TOPIC = "bench-alerting"
CAMPAIGN = "bench-alert-"
GOAL_S = 5.0
RULE = """
[notify.bench]
to = ["webhook://127.0.0.1:{port}/?secret=0123456789abcdef"]

[[alerts]]
name = "somebody-waits"
figure = "waiting"
above = 0.5
for_s = 0
campaigns = [{campaigns}]
notify = ["bench"]

[clients.bench]
"""


def measure(rate: int = RATE, seconds: int = SECONDS) -> Measured:
    campaigns = [f"{CAMPAIGN}{n}" for n in range(int(seconds / EVERY_S))]
    with (
        running_broker() as broker,
        tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory,
        _receiver() as (port, arrived),
    ):
        servers = broker.bootstrap_servers
        result_of("bench.simulated", servers, TOPIC, HISTORY)
        configuration = Path(directory, "campaigns.toml")
        configuration.write_text(
            RULE.format(port=port, campaigns=", ".join(f'"{campaign}"' for campaign in campaigns))
            + "".join(f'[campaigns.{campaign}]\nclient = "bench"\n' for campaign in campaigns)
        )
        data, logs = Path(directory, "data"), Path(directory)
        watch = Watch(data / "published" / "vigie.duckdb")
        consume = ("-m", "ingest", "run", "--bootstrap-servers", servers, "--topic", TOPIC, "--data-dir", str(data))
        variables = {"VIGIE_DATA_DIR": str(data), "VIGIE_CAMPAIGNS": str(configuration)}
        with (
            in_background(*consume, log=logs / "consumer.log", **variables) as consumer,
            in_background("-m", "notify", "run", log=logs / "notify.log", **variables) as notify,
            ThreadPoolExecutor(1) as pool,
        ):

            def look() -> None:
                must_run(consumer, logs / "consumer.log")
                must_run(notify, logs / "notify.log")
                watch.look()
                time.sleep(LOOK_EVERY_S)

            deadline = time.monotonic() + STARTED_WITHIN_S
            while (watch.events, watch.lag) != (HISTORY, 0) and time.monotonic() < deadline:
                look()
            load = pool.submit(result_of, "bench.load", servers, TOPIC, rate, seconds)
            sent = _call(servers, campaigns, look)
            given_up_at = time.monotonic() + SEEN_WITHIN_S
            while len(arrived) < len(campaigns) and time.monotonic() < given_up_at:
                look()
            loaded = load.result()
    delays = [arrived[campaign] - sent[campaign] for campaign in campaigns if campaign in arrived]
    unseen = len(campaigns) - len(delays)
    shares = {share: figures.percentile(delays, share) for share in (0.5, 0.95, 0.99)} if delays else {}
    row = Row(
        f"event to message, {rate:,} events per second for {seconds} s",
        f"p95 {shares.get(0.95, float('nan')):.2f} s",
        f"median {shares.get(0.5, float('nan')):.2f} s, p99 {shares.get(0.99, float('nan')):.2f} s",
        "",
        f"p95 ≤ {GOAL_S:g} s",
        bool(delays) and shares[0.95] <= GOAL_S and not unseen,
    )
    remarks = [
        f"alerting: {len(campaigns)} calls, one every {EVERY_S:g} s, each timed from before its send() until a"
        f" receiver of webhooks has the whole message; {unseen} did not arrive. For two seconds notify waits for"
        " more alerts of the same cause.",
        f"alerting: the generator sent {loaded['sent']:,} events at {loaded['rate']:,.0f}/s meanwhile;"
        f" {HISTORY:,} events were loaded before.",
    ]
    return Measured([row], remarks, {"delays_s": shares, "unseen": unseen})


def _call(servers: str, campaigns: list[str], look: Callable[[], None]) -> dict[str, float]:
    """Send a call to each campaign, one after the other; return when each was sent [s since 1970]."""
    producer = open_producer(servers)
    sent: dict[str, float] = {}
    started = time.monotonic()
    for n, campaign in enumerate(campaigns):
        while time.monotonic() < started + n * EVERY_S:
            look()
        sent[campaign] = time.time()
        event = {
            "event_id": f"{campaign}-queued",
            "type": "call.queued",
            "ts": dt.datetime.fromtimestamp(sent[campaign], dt.UTC).isoformat(),
            "call_id": campaign,
            "campaign": campaign,
            "queue": "bench",
        }
        producer.send(TOPIC, key=campaign.encode(), value=json.dumps(event).encode())
        producer.flush(timeout=10)
    producer.close(timeout=5)
    return sent


@contextmanager
def _receiver() -> Iterator[tuple[int, dict[str, float]]]:
    """Receive webhooks; yield the port, and for each campaign when its first message came [s since 1970]."""
    arrived: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for alert in message["alerts"]:
                arrived.setdefault(alert["campaign"], time.time())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
