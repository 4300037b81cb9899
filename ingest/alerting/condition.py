"""When a rule fires and ends, for one subject: a function of what was, what is measured and the clock.

    nothing ── beyond the threshold ──> pending ── for_s later ──> firing ── at the end threshold ──> ended
                  pending ── not beyond it, too few calls, or not looked at for GAP ──> nothing

An alert that fires stays as it is while its figure has too few calls to be judged, for UNJUDGED at most. It ends at
once when there is nothing to measure any more: that is not better, so it has a reason of its own.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass, replace

from ingest.alerting.figures import Subject, Value
from metrics.configuration.alerts import AlertRule

COUNTED = dt.timedelta(seconds=60)
"""Of the time between two looks, so much counts towards `for_s`. A consumer that publishes every 70 s fires too."""
GAP = dt.timedelta(minutes=10)
"""If nobody looked for this long, a pending condition begins again: it may not have been true all the time."""
UNJUDGED = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule's condition that is true for one subject since `began_at`, last seen at `seen_at`; it fires if `fired_at`.

    Values are in the figure's unit. `end_reason` None: it has not ended.
    """

    rule: AlertRule
    subject: Subject
    threshold: float
    end_threshold: float
    usual: float | None
    value: float
    worst: float
    worst_at: dt.datetime
    calls: int | None
    began_at: dt.datetime
    seen_at: dt.datetime
    fired_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    end_reason: str | None = None

    @property
    def alert_id(self) -> str:
        """The id of this firing, the same after restarts."""
        about = (
            self.rule.name,
            self.subject.campaign,
            self.subject.source,
            self.began_at.astimezone(dt.UTC).isoformat(),
        )
        return hashlib.sha256(repr(about).encode()).hexdigest()[:16]

    def ended(self, at: dt.datetime, reason: str) -> "Condition":
        return replace(self, ended_at=at, end_reason=reason)


def follow(
    rule: AlertRule, subject: Subject, before: Condition | None, measured: Value, now: dt.datetime
) -> Condition | None:
    """Return the rule's condition for the subject at `now`; None if it is not true.

    A firing that ends is returned with `ended_at`.
    """
    fires = before is not None and before.fired_at is not None
    if rule.quiet_when_closed and not measured.is_open:
        return before.ended(now, "closed") if before and fires else None
    limits = rule.limits(measured.usual)
    value = measured.value
    if before and fires and value is None:
        return before.ended(now, "unmeasured")
    if value is None or limits is None or (measured.calls is not None and measured.calls < rule.min_calls):
        is_lasting = before is not None and now - before.seen_at > UNJUDGED
        return (before.ended(now, "unjudged") if before and is_lasting else before) if fires else None
    threshold, end_threshold = limits
    condition = _seen(rule, subject, before, value, limits, measured, now)
    if fires:
        is_back = not _is_worse(rule, value, end_threshold)
        return condition.ended(now, "recovered") if is_back else condition
    if not _is_worse(rule, value, threshold):
        return None
    lasts = now - condition.began_at >= dt.timedelta(seconds=rule.for_s)
    return replace(condition, fired_at=now) if lasts else condition


def _seen(
    rule: AlertRule,
    subject: Subject,
    before: Condition | None,
    value: float,
    limits: tuple[float, float],
    measured: Value,
    now: dt.datetime,
) -> Condition:
    """Return the condition with what was measured now; a new one if there is none, or nobody looked for GAP."""
    threshold, end_threshold = limits
    if before is None or (before.fired_at is None and not dt.timedelta() <= now - before.seen_at <= GAP):
        begun = (threshold, end_threshold, measured.usual, value, value, now, measured.calls, now, now)
        return Condition(rule, subject, *begun)
    is_worst = _is_worse(rule, value, before.worst)
    uncounted = dt.timedelta() if before.fired_at else max(dt.timedelta(), now - before.seen_at - COUNTED)
    return replace(
        before,
        rule=rule,
        subject=subject,
        threshold=threshold,
        end_threshold=end_threshold,
        usual=measured.usual,
        value=value,
        worst=value if is_worst else before.worst,
        worst_at=now if is_worst else before.worst_at,
        calls=measured.calls,
        began_at=before.began_at + uncounted,
        seen_at=now,
    )


def _is_worse(rule: AlertRule, value: float, than: float) -> bool:
    return value < than if rule.comparison == "below" else value > than
