"""Fields that few sources write cost nothing where no event has one, and count wherever one has."""

import json
from pathlib import Path

import pytest

from ingest.store.store import BATCH, FOLD
from tests.support.stories.stream import Desk, at, read_story

LATER = at("57:00:00")
WITH = """
09:00:00 queued
09:00:30 abandoned wait_unknown=true
08:59:00 state agent=amina state=available lasts_s=60
10:00:00 state agent=amina state=paused
10:10:00 state agent=amina state=offline
"""
LATE = """
09:00:10 rang agent=amina
08:58:00 state agent=amina state=paused
"""


@pytest.mark.parametrize("has_settled", [True, False], ids=["settled", "unsettled"])
def test_a_field_that_an_earlier_run_read_counts_when_its_call_and_state_change(
    tmp_path: Path, has_settled: bool
) -> None:
    desk = Desk(tmp_path, settle_rows=1 if has_settled else 1_000)
    desk.apply(read_story(WITH), LATER)
    desk.publish(LATER)
    kept = desk.store.sql("SELECT count(*) FROM segments WHERE relation = 'events'").fetchone()
    assert (kept != (0,)) is has_settled
    desk.close()
    desk = Desk(tmp_path, settle_rows=1_000)
    desk.apply([event | {"event_id": f"late-{event['event_id']}"} for event in read_story(LATE)], LATER)
    desk.publish(LATER)
    assert desk.rows("SELECT outcome, abandoned_at, wait_s FROM calls") == [
        {"outcome": "abandoned", "abandoned_at": None, "wait_s": None}
    ]
    assert desk.rows("SELECT seconds FROM agent_states WHERE state = 'available'") == [{"seconds": 60}]


NAMES = [("wait_unknown", "lasts_s"), (r"wait\u005funknown", r"lasts\u005fs")]


@pytest.mark.parametrize(("wait_unknown", "lasts_s"), NAMES, ids=["as it is", "with a letter as its number"])
def test_a_field_counts_however_json_writes_its_name(tmp_path: Path, wait_unknown: str, lasts_s: str) -> None:
    desk = Desk(tmp_path)
    story = """
        09:00:00 queued
        09:00:30 answered agent=amina wait_unknown=true
        08:00:00 state agent=amina state=available lasts_s=60
    """
    written = [
        json.dumps(event).replace("wait_unknown", wait_unknown).replace("lasts_s", lasts_s).encode()
        for event in read_story(story)
    ]
    desk.apply(written, LATER)
    desk.publish(LATER)
    assert desk.rows("SELECT outcome, wait_s FROM calls") == [{"outcome": "answered", "wait_s": None}]
    assert desk.rows("SELECT seconds FROM agent_states WHERE state = 'available'") == [{"seconds": 60}]


def test_the_fold_reads_no_raw_event_for_a_field_that_no_event_has(tmp_path: Path) -> None:
    def raw_events_read(story: str) -> int:
        desk = Desk(tmp_path / str(len(story)))
        desk.apply(read_story(story), LATER)
        desk.store.sql(BATCH["begin_fold"])
        ((_, plan),) = desk.store.sql(f"EXPLAIN (FORMAT json) {FOLD[FOLD.index('INSERT') :]}").fetchall()
        return plan.count("arg_min") + plan.count("wait_unknown")

    assert raw_events_read(WITH) > raw_events_read(WITH.replace("wait_unknown=true", ""))
