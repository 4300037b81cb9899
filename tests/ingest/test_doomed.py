"""The stress test's consumer dies where a Death says, even between two statements that are executed together."""

from pathlib import Path

import pytest

from ingest.events.batch import Batch
from tests.support.doomed import Apply, Consumer, Death, Died
from tests.support.stories.stream import DEFAULTS, PARTITION, at, messages, read_story

FIRST = read_story("09:00:00 queued")
REVISED = read_story("09:00:00 queued revision=1")


@pytest.mark.parametrize("statement", ["INSERT INTO changed_states", "DELETE FROM winning_events"])
def test_a_consumer_dies_between_statements_that_are_executed_together(tmp_path: Path, statement: str) -> None:
    both = [*messages(FIRST, at("09:00:01")), *messages(REVISED, at("09:00:01"))]
    consumer = Consumer(tmp_path, DEFAULTS, 1)
    with pytest.raises(Died):
        consumer.do(Apply(Batch({PARTITION: both}, {PARTITION: 2})), Death(0, of=statement))
    restarted = Consumer(tmp_path, DEFAULTS, 1)
    assert restarted.kept() == []
    restarted.do(Apply(Batch({PARTITION: both}, {PARTITION: 2})))
    assert [event_id for event_id, _ in restarted.kept()] == ["e01"]
    restarted.close()
