"""A client's auditor: recounts a recording in plain Python, from docs/kpis.md only and without any of Vigie's code."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

T, SHORT_S = 20, 5  # the bank's contract: 20 s; a wait below 5 s is a short abandon


@dataclass(frozen=True)
class Visit:
    """A call, times in seconds since 1970. `ended` is the end of the talk, or of the wait if the caller hung up."""

    campaign: str
    agent: str
    queued: float
    answered: float | None
    ended: float

    @property
    def wait(self) -> float:
        return (self.ended if self.answered is None else self.answered) - self.queued

    @property
    def talk(self) -> float:
        return 0.0 if self.answered is None else max(0.0, self.ended - self.answered)


def visits(recording: Path) -> list[Visit]:
    seen: dict[str, dict[str, Any]] = defaultdict(dict)
    with gzip.open(recording) as lines:
        for line in lines:
            event = json.loads(line)
            seen[event["call_id"]][event["type"].removeprefix("call.")] = event
    found = []
    for call_id, call in seen.items():
        at = {kind: datetime.fromisoformat(event["ts"]).timestamp() for kind, event in call.items()}
        # a call without an agent's name counts as an agent of its own
        agent = call.get("answered", {}).get("agent") or call_id
        end = at.get("ended", at.get("abandoned"))
        assert end is not None
        found.append(Visit(call["queued"]["campaign"], agent, at["queued"], at.get("answered"), end))
    return found


def counted(calls: Iterable[Visit]) -> dict[str, float | None]:
    """Return the cohort's KPIs under the names of the published columns."""
    calls = list(calls)
    answered = [c for c in calls if c.answered is not None]
    hung_up = [c for c in calls if c.answered is None]
    short = sum(c.wait < SHORT_S for c in hung_up)
    in_time = sum(c.wait <= T for c in answered)
    gone_in_time = sum(c.wait <= T for c in hung_up)
    n = len(calls)
    return {
        "offered": n,
        "answered": len(answered),
        "abandoned": len(hung_up) - short,
        "short_abandoned": short,
        "answered_in_threshold": in_time,
        "abandoned_in_threshold": gone_in_time,
        "handled": len(answered),
        "abandon_rate": (len(hung_up) - short) / (n - short) if n > short else None,
        "service_level": in_time / n if n else None,
        "asa_s": fmean(max(0.0, c.wait) for c in answered) if answered else None,
        "aht_s": fmean(c.talk for c in answered) if answered else None,
        "exclude_short": in_time / (n - short) if n > short else None,
        "all_offered": in_time / n if n else None,
        "ignore_abandons_in_threshold": in_time / (n - gone_in_time) if n > gone_in_time else None,
        "abandon_counts_as_success": (in_time + gone_in_time) / n if n else None,
        "answered_only": in_time / len(answered) if answered else None,
    }


def workload(calls: Iterable[Visit], t0: float, t1: float) -> float:
    """Return the seconds in `[t0, t1)` that agents spent on calls; an agent's simultaneous calls count once."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for call in calls:
        if call.answered is not None and call.ended > t0 and call.answered < t1:
            spans[call.agent].append((max(call.answered, t0), min(call.ended, t1)))
    total = 0.0
    for own in spans.values():
        reached = t0
        for begin, end in sorted(own):
            total += max(0.0, end - max(begin, reached))
            reached = max(reached, end)
    return total
