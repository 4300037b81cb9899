"""The days of the floor, one after the other, without end."""

from collections.abc import Iterator
from datetime import date, timedelta
from heapq import merge
from operator import itemgetter

from ingest.simulator import parameters, plan
from ingest.simulator.day import Day
from ingest.simulator.incidents import Event


def floor_events(
    start: date, *, agents: int = parameters.DEFAULT_AGENTS, seed: int = parameters.DEFAULT_SEED, staffing: float = 1.0
) -> Iterator[Event]:
    """Yield the events (docs/events.md) of the floor days `start`, `start` + 1 day, … in order of `ts`, without end.

    `agents` is the number of agents on the floor at its busiest hour; demand grows with it. `staffing` is the share of
    the planned seats that are staffed. Each day, including its event ids, depends only on (day, agents, seed,
    staffing), so a second run, or one that starts on another day, repeats the same events. The last calls of a day end
    on the next day: a run that starts on that day lacks their last events.
    """
    late: list[Event] = []  # events of the day before that happened after its end
    day = start
    while True:
        end = plan.day_start(day + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
        after: list[Event] = []
        for event in merge(late, Day(day, agents=agents, seed=seed, staffing=staffing).run(), key=itemgetter("ts")):
            if event["ts"] < end:
                yield event
            else:
                after.append(event)
        late = after
        day += timedelta(days=1)
