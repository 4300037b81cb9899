"""What both programs offer to monitoring: /metrics, /healthz and logs in JSON."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ingest.topic.broker import Broker
from metrics.published.alarms import KINDS
from tests.support.dashboard.browsing import dashboard
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    command,
    environment,
    floor,
    free_port,
    one_sentence,
    options,
    run,
    send,
    wait_for,
)

pytestmark = pytest.mark.slow


def ask(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def samples(address: str) -> dict[str, float]:
    """Return every sample by name and labels, or none if the program does not answer yet."""
    _, text = ask(f"{address}/metrics")
    return {
        ",".join([sample.name, *(f"{label}={value}" for label, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


LOST = {"event_id": "lost-1", "type": "call.ended", "ts": "2020-03-10T09:00:00Z", "call_id": "lost"}
RINGING = {f"vigie_alarms,kind={kind}": float(kind == "calls_in_no_campaign") for kind in KINDS}


def alarms(measured: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in measured.items() if name.startswith("vigie_alarms")}


def test_metrics_health_and_logs_of_a_consumer_and_a_dashboard(tmp_path: Path, broker: Broker, topic: str) -> None:
    events = [*floor(400), LOST]
    port = free_port()
    consumer = f"http://127.0.0.1:{port}"
    arguments = options(tmp_path, broker.bootstrap_servers, topic)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command("run", *arguments, "--metrics-port", str(port)),
            stderr=log,
            cwd=ROOT,
            env=environment(VIGIE_LOG_FORMAT="json"),
        )
        try:
            send(broker.bootstrap_servers, topic, [*events, b"no event"])
            wait_for(lambda: samples(consumer).get("vigie_records_total") == 402, "all records in the metrics")
            metrics = wait_for(
                lambda: (now := samples(consumer)).get("vigie_events_total") == len(events) and now, "all events"
            )
            assert metrics["vigie_dead_letters_total"] == 1
            assert metrics["vigie_duplicates_total"] == 0
            assert metrics["vigie_foreign_logs_removed_total"] == 0
            left = tmp_path / "published" / "vigie.duckdb.wal"
            left.write_bytes(b"left by somebody who wrote")
            wait_for(lambda: samples(consumer).get("vigie_foreign_logs_removed_total") == 1, "its log to be counted")
            assert not left.exists()
            lags = [value for name, value in metrics.items() if name.startswith("vigie_lag_records,")]
            assert lags == [0, 0, 0, 0]
            wait_for(lambda: alarms(samples(consumer)) == RINGING, "the alarm of the call without its first event")
            assert metrics["vigie_store_bytes"] > 0
            assert 0 <= metrics["vigie_snapshot_age_seconds"] < 60
            assert metrics["vigie_fold_seconds_count"] >= 1
            assert metrics["vigie_publish_seconds_count"] >= 1
            assert ask(f"{consumer}/healthz") == (200, "ok\n")
            assert ask(f"{consumer}/other")[0] == 404
            taken = run("run", *options(tmp_path / "b", broker.bootstrap_servers, topic), "--metrics-port", str(port))
            assert f"--metrics-port: 127.0.0.1:{port} cannot be listened on" in one_sentence(taken)
            with dashboard(tmp_path) as shown:
                metrics = samples(shown.address)
                assert metrics["vigie_published"] == 1
                assert metrics["vigie_events_total"] == len(events)
                assert metrics["vigie_lag_records"] == 0
                assert alarms(metrics) == RINGING
                campaigns = {event["campaign"] for event in events if "campaign" in event}
                assert not [name for name in campaigns if name in ask(f"{shown.address}/metrics")[1]]
                assert metrics["vigie_foreign_logs"] == 0
                process.terminate()
                process.wait(WITHIN_S)
                left.write_bytes(b"left by somebody who wrote, and nobody removes it")
                wait_for(lambda: samples(shown.address).get("vigie_foreign_logs") == 1, "the log in the metrics")
        finally:
            process.terminate()
            process.wait(WITHIN_S)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert any(line["message"].startswith("topic opened: 4 partitions") for line in lines)
    (alarm,) = [line for line in lines if line["logger"] == "ingest.judging.alarms"]
    assert (alarm["level"], alarm["message"].split(",")[0]) == ("ERROR", "calls are in no campaign")


def test_the_metrics_of_a_dashboard_without_data(tmp_path: Path) -> None:
    with dashboard(tmp_path) as shown:
        assert samples(shown.address)["vigie_published"] == 0


def test_an_unknown_log_format_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "broker"],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(VIGIE_LOG_FORMAT="xml"),
        check=False,
        timeout=WITHIN_S,
    )
    assert done.stderr == "vigie: VIGIE_LOG_FORMAT='xml' is not one of text, json.\n"


FAULTY = """
import sys
from metrics import logs
logs.write_to(sys.stderr, "vigie")
raise ValueError("a fault of a page")
"""


def test_streamlits_own_log_lines_are_json_too(tmp_path: Path) -> None:
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    settings = {"VIGIE_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT)}
    with dashboard(tmp_path, script=str(script), answers_at="/_stcore/health", **settings) as running:
        address = running.address.replace("http", "ws") + "/_stcore/stream"
        with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as page:
            page.send(BackMsg(rerun_script={}).SerializeToString())
            wait_for(lambda: "a fault" in running.log_text(), "the error in the log")
            (line,) = [json.loads(line) for line in running.log_text().splitlines() if "a fault" in line]
    assert line["level"] == "ERROR"
    assert "ValueError: a fault of a page" in line["exc_info"]
