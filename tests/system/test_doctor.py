"""`python -m ingest doctor`: its findings before and after things work."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import tzdata

from ingest.topic.broker import Broker
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    catch_up,
    command,
    consumer,
    count_calls,
    environment,
    floor,
    free_port,
    options,
    queued,
    run,
    send,
    wait_for,
)
from tests.support.stories.stream import Desk, at, read_story

pytestmark = pytest.mark.slow


def findings(place: Path, servers: str, topic: str, *more: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run `doctor` and return its exit code and its lines as {subject: (mark, text)}."""
    done = run("doctor", *options(place, servers, topic), *more)
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    return done.returncode, {line[6:21].strip(): (line[:5].strip(), line[22:]) for line in lines}


def test_before_anything_exists(tmp_path: Path) -> None:
    servers = f"127.0.0.1:{free_port()}"
    code, checks = findings(tmp_path / "new", servers, "call-events")
    assert code == 1
    marks = {what: mark for what, (mark, _) in checks.items()}
    assert marks == {
        **{"campaigns": "ok", "terms": "ok", "alerts": "ok", "zone rules": "ok", "data directory": "ok", "store": "ok"},
        **{"published file": "look", "broker": "BAD"},
    }
    assert checks["broker"][1].startswith(f"Kafka at {servers} does not answer")
    assert not (tmp_path / "new").exists()


def test_with_a_running_consumer_everything_is_ok(tmp_path: Path, broker: Broker, topic: str) -> None:
    send(broker.bootstrap_servers, topic, floor(300))
    with consumer(tmp_path, broker.bootstrap_servers, topic):
        wait_for(lambda: count_calls(tmp_path), "calls")
        code, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert code == 0, checks
    assert checks["store"][1].endswith("is in use by a running consumer")
    assert checks["topic"] == ("ok", f"{topic}: 4 partitions")
    assert checks["last record"][0] == "ok"
    assert checks["contract"][0] == "ok"


def test_contract_violations_are_shown_without_phone_numbers(tmp_path: Path, broker: Broker, topic: str) -> None:
    bad = queued(1) | {"type": "call.lost", "caller": "+33612345678"}
    send(broker.bootstrap_servers, topic, [json.dumps(bad).encode()] * 3)
    code, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert code == 1
    mark, text = checks["contract"]
    assert mark == "BAD" and "lines break it" in text and "12345678" not in text


def test_a_store_without_a_consumer_and_a_corrupt_one(tmp_path: Path, broker: Broker, topic: str) -> None:
    send(broker.bootstrap_servers, topic, floor(50))
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    _, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert checks["store"] == ("look", f"{tmp_path}/store.duckdb: 50 events, and no consumer is running")
    (tmp_path / "store.duckdb").write_bytes(b"no store" * 1000)
    code, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert code == 1
    assert checks["store"][0] == "BAD"


def test_damaged_archived_files_are_found_when_all_are_read(tmp_path: Path, broker: Broker, topic: str) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story("08:00:00 queued\n08:00:30 answered agent=amina\n08:10:00 ended"), at("12:00:00"))
    desk.publish(at("12:00:00"))
    desk.close()
    (calls,) = (tmp_path / "published" / "calls").rglob("*.parquet")
    calls.write_bytes(b"p" + calls.read_bytes()[1:])
    _, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert checks["archived files"][0] == "ok" and "`--verify` compares them" in checks["archived files"][1]
    code, checks = findings(tmp_path, broker.bootstrap_servers, topic, "--verify")
    assert code == 1
    assert checks["archived files"] == ("BAD", f"{calls} is damaged: it differs from its checksum")


def test_an_invalid_configuration(tmp_path: Path, broker: Broker, topic: str) -> None:
    wrong = tmp_path / "campaigns.toml"
    wrong.write_text((ROOT / "campaigns.toml").read_text().replace("[clients", "[clint", 1))
    code, checks = findings(tmp_path, broker.bootstrap_servers, topic, "--campaigns", str(wrong))
    assert code == 1
    assert checks["campaigns"][0] == "BAD"
    assert "zone rules" not in checks


CONTRACTS = """
[clients]
c = {}
[campaigns.one]
client = "c"
[[campaigns.one.sla]]
threshold_s = 30
target = 0.85
short_abandon_s = 10
[[campaigns.one.sla]]
valid_from = 2026-11-29
target = 0.9
[[campaigns.one.sla]]
valid_from = 2026-12-24T18:00:00
formula = "all_offered"
threshold_s = 12.5
wait_at_threshold_counts = false
short_abandon_s = 5
[campaigns.same]
client = "c"
[[campaigns.same.sla]]
target = 0.9
[[campaigns.same.sla]]
valid_from = 2027-01-01
"""


def test_changes_by_each_later_term_of_a_contract(tmp_path: Path) -> None:
    configuration = tmp_path / "campaigns.toml"
    configuration.write_text(CONTRACTS)
    done = run("doctor", *options(tmp_path / "data", f"127.0.0.1:{free_port()}", "call-events", configuration))
    lines = [line for line in done.stdout.splitlines() if line[6:21].strip() == "terms"]
    assert [(line[:5].strip(), line[22:]) for line in lines] == [
        ("ok", "one, from 2026-11-29 00:00: target 0.85 → 0.9"),
        (
            "ok",
            "one, from 2026-12-24 18:00: formula exclude_short → all_offered, threshold 30 → 12.5 s, "
            "a wait at the threshold is in time yes → no, short abandon below 10 → 5 s",
        ),
        ("look", "same, from 2027-01-01 00:00: nothing changes"),
    ]


RULE = '[[alerts]]\nname = "{figure}"\nfigure = "{figure}"\nabove = {above}\n'


@pytest.mark.parametrize(
    ("rules", "mark", "words"),
    [
        pytest.param({}, "ok", "no rules: nothing fires", id="none"),
        pytest.param(
            {"feed_age_s": 30, "feed_silent_s": 300, "waiting": 60},
            *("ok", "3 rules: feed_age_s, feed_silent_s, waiting"),
            id="two watch the feed",
        ),
        pytest.param({"feed_silent_s": 300}, "look", "1 rules: feed_silent_s", id="none says that the data is old"),
        pytest.param({"feed_age_s": 30}, "look", "1 rules: feed_age_s", id="none says that the feed is silent"),
        pytest.param(
            {"feed_age_s": 60, "feed_silent_s": 300},
            *("look", "2 rules: feed_age_s, feed_silent_s"),
            id="others are held before one says so",
        ),
    ],
)
def test_the_alert_rules(tmp_path: Path, rules: dict[str, int], mark: str, words: str) -> None:
    configuration = tmp_path / "campaigns.toml"
    configuration.write_text("".join(RULE.format(figure=figure, above=above) for figure, above in rules.items()))
    more = ("--campaigns", str(configuration))
    _, checks = findings(tmp_path / "data", f"127.0.0.1:{free_port()}", "call-events", *more)
    assert checks["alerts"] == (mark, words)


def test_rules_that_watch_what_is_not_there(tmp_path: Path) -> None:
    configuration = tmp_path / "campaigns.toml"
    rule = '[[alerts]]\nname = "{name}"\nfigure = "{figure}"\nabove = 1\n{key} = [{known}, "Atlantis"]\n'
    sites = rule.format(name="few", figure="agents_available", key="sites", known='"Rabat"')
    configuration.write_text(sites + rule.format(name="pbx", figure="source_silent_s", key="sources", known='"pbx"'))
    desk = Desk(tmp_path / "data")
    story = '09:00:00 profile agent=a1 site=Rabat\n09:00:00 queued source="pbx"'
    desk.apply(read_story(story), at("09:00:00"))
    desk.publish(at("09:00:01"))
    desk.close()
    done = run("doctor", *options(tmp_path / "data", f"127.0.0.1:{free_port()}", "call-events", configuration))
    assert [line[22:] for line in done.stdout.splitlines() if line[6:21].strip() == "watched"] == [
        "few watches sites that no agent has: Atlantis",
        "pbx watches sources that have sent nothing: Atlantis",
    ]


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.touch()
    code, checks = findings(place, f"127.0.0.1:{free_port()}", "call-events")
    assert code == 1
    assert checks["data directory"] == ("BAD", f"{place} is a file, not a folder")


def test_an_empty_topic(tmp_path: Path, broker: Broker, topic: str) -> None:
    code, checks = findings(tmp_path, broker.bootstrap_servers, topic)
    assert code == 0
    assert checks["records"] == ("look", "the topic is empty")


def test_a_missing_topic(tmp_path: Path, broker: Broker) -> None:
    code, checks = findings(tmp_path, broker.bootstrap_servers, "nowhere")
    assert code == 1
    assert checks["topic"] == ("BAD", "there is no topic nowhere")


def test_duckdbs_calendar_with_older_rules_than_the_pinned_zones(tmp_path: Path) -> None:
    configuration = tmp_path / "campaigns.toml"
    configuration.write_text('[defaults]\ntimezone = "Africa/Casablanca"\n')
    done = run(
        "doctor", *options(tmp_path / "data", f"127.0.0.1:{free_port()}", "call-events", configuration),
        ICU_TIMEZONE_FILES_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "zone rules" in line)
    assert line.startswith("BAD") and "Africa/Casablanca" in line and "without ICU_TIMEZONE_FILES_DIR" in line


def test_zone_files_of_the_machine_with_older_rules_than_the_pinned_zones(tmp_path: Path) -> None:
    """Madrid is at UTC+1 all year in them, as after a change of the rules that the machine lacks."""
    zones = Path(tzdata.__file__).parent / "zoneinfo"
    shutil.copytree(zones, tmp_path / "zones")
    shutil.copyfile(zones / "Africa" / "Lagos", tmp_path / "zones" / "Europe" / "Madrid")
    done = subprocess.run(
        command("doctor", *options(tmp_path / "data", f"127.0.0.1:{free_port()}", "call-events")),
        env=environment(PYTHONTZPATH=str(tmp_path / "zones")),
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "zone rules" in line)
    assert line.startswith("BAD") and "Europe/Madrid" in line and "PYTHONTZPATH" in line
