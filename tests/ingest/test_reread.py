"""The configuration file changes while a consumer runs: a valid file is adopted, an invalid one gives a notice."""

from pathlib import Path

from ingest.topic.broker import Broker
from tests.support.processes import ROOT, consumer, count_calls, floor, rows, send, status, stop, wait_for

TERMS = (
    "SELECT valid_from, threshold_s FROM sla_terms WHERE campaign = 'vianova-mobile' ORDER BY valid_from NULLS FIRST"
)
FIGURES = "SELECT * EXCLUDE (settled) FROM kpi_daily ORDER BY campaign, day"
ADDED = """
[[campaigns.vianova-mobile.sla]]
valid_from = 2024-03-05
threshold_s = 5
"""


def test_a_running_consumer_adopts_a_valid_file_and_ignores_a_broken_one(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    configuration = tmp_path / "campaigns.toml"
    good = (ROOT / "campaigns.toml").read_text()
    configuration.write_text(good)
    place = tmp_path / "data"
    events = floor(4_000)
    send(broker.bootstrap_servers, topic, events)
    with consumer(place, broker.bootstrap_servers, topic, "--campaigns", str(configuration)) as process:
        wait_for(lambda: count_calls(place) and status(place)["events"] == len(events), "all is published")
        assert rows(place, TERMS) == [(None, 30.0)]
        before = rows(place, FIGURES)

        broken = good + ADDED.replace("threshold_s", "treshold_s")
        configuration.write_text(broken)
        notice = wait_for(lambda: status(place)["notice"], "the notice of a broken file")
        line = broken[: broken.index("treshold_s")].count("\n") + 1
        assert f"campaigns.toml, line {line}: unknown key `treshold_s`, allowed are valid_from" in notice
        assert rows(place, TERMS) == [(None, 30.0)] and rows(place, FIGURES) == before

        configuration.write_text(good + ADDED)
        wait_for(lambda: not status(place)["notice"], "the notice is gone")
        assert [threshold_s for _, threshold_s in rows(place, TERMS)] == [30.0, 5.0]
        changed = "SELECT bool_or(terms_changed), max(threshold_s) FROM kpi_campaign('{}', '{}') WHERE campaign = $one"
        for window, changed_and_threshold in {
            # the local day in Paris before the term
            ("2024-03-03 23:00:00+00", "2024-03-04 23:00:00+00"): (False, 30.0),
            ("2024-03-04 23:00:00+00", "2024-03-05 23:00:00+00"): (False, 5.0),
            ("2024-03-03 23:00:00+00", "2024-03-05 23:00:00+00"): (True, 5.0),
        }.items():
            assert rows(place, changed.format(*window), {"one": "vianova-mobile"}) == [changed_and_threshold]
        past = "campaign <> 'vianova-mobile' OR day < DATE '2024-03-05'"
        only_past = FIGURES.replace("ORDER", f"WHERE {past} ORDER")
        kept = [row for row in before if row[0] != "vianova-mobile" or str(row[1]) < "2024-03-05"]
        assert rows(place, only_past) == kept
        stop(process, place)
