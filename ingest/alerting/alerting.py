"""Evaluates the alert rules on each snapshot, and keeps what fires and what has fired.

The store's table `alerts` has the pending conditions too, so that a restart neither fires twice nor waits anew. It is
written when something begins, fires or ends, and every SAVE_S: a consumer that is killed forgets the values of its last
seconds, but no firing. Readers get every firing from the published file.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from ingest import statements
from ingest.alerting.condition import Condition, follow
from ingest.alerting.figures import Figures, Subject, Value, Values
from ingest.store.store import Store
from metrics.configuration.alerts import AlertRule
from metrics.kpis.alert_figures import FIGURES, KEPT_DAYS, MOST_KEPT

log = logging.getLogger(__name__)

EVERY_S = 0.9  # the figures cost about as much CPU as the rest of a snapshot (docs/decisions.md)
SAVE_S = 10.0
KEPT = dt.timedelta(days=KEPT_DAYS)

INSTANT, TEXTS = pa.timestamp("us", "UTC"), pa.list_(pa.string())
COLUMNS = pa.schema(
    {
        **dict.fromkeys(("alert_id", "rule", "severity", "figure", "campaign", "client", "source"), pa.string()),
        "comparison": pa.string(),
        **dict.fromkeys(("threshold", "end_threshold", "usual", "value", "worst"), pa.float64()),
        "worst_at": INSTANT,
        "calls": pa.int64(),
        **dict.fromkeys(("began_at", "fired_at", "ended_at"), INSTANT),
        "end_reason": pa.string(),
        **dict.fromkeys(("notify", "escalate"), TEXTS),
        **dict.fromkeys(("escalate_after_s", "repeat_after_s"), pa.float64()),
        "seen_at": INSTANT,
    }
)
"""The columns of the store's table `alerts`: those of the published relation, and `seen_at`."""
ALERTS = statements.read_parts("alerting/alerting.sql")
OPEN = ALERTS["open"].format(columns=", ".join(COLUMNS.names))

Key = tuple[str, str | None, str | None]
"""Rule, campaign and source."""


class Alerting:
    """The alerts of `store`. `configure` before the first `evaluate`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        rows = store.sql(OPEN).fetchall()
        self._open = {_key(c): c for c in (_condition(dict(zip(COLUMNS.names, row, strict=True))) for row in rows)}
        self._rules: tuple[AlertRule, ...] = ()
        self._figures = Figures(store, set(), set())
        self._evaluated_at: dt.datetime | None = None
        self._saved_at: dt.datetime | None = None
        self._unsaved: list[Condition] = []  # firings that ended and are not in the store yet
        self._has_changed = False

    def configure(self, rules: Iterable[AlertRule]) -> None:
        """Evaluate by `rules` from the next snapshot on."""
        self._rules = tuple(rules)
        with_usual = {rule.figure for rule in self._rules if rule.by_usual}
        self._figures = Figures(self._store, {rule.figure for rule in self._rules}, with_usual)
        self._evaluated_at = None

    def evaluate(self, as_of: dt.datetime, published_at: dt.datetime) -> None:
        """Evaluate the rules on the snapshot, and fill its relation `alerts`. Call it when all else is filled.

        `as_of` is the instant that the snapshot describes, `published_at` the clock.
        """
        if self._evaluated_at is None or not 0 <= (published_at - self._evaluated_at).total_seconds() < EVERY_S:
            self._evaluated_at = published_at
            values = self._figures.read(as_of, published_at) if self._rules else {}
            self._follow(values, as_of, published_at)
        is_old = self._saved_at is None or not 0 <= (published_at - self._saved_at).total_seconds() < SAVE_S
        if self._has_changed or (self._open and is_old):
            self._save(published_at)
        with self._store.registered("open_alerts", _table(self._open.values())):
            self._store.sql(ALERTS["publish"])

    def _follow(self, values: Values, as_of: dt.datetime, published_at: dt.datetime) -> None:
        before: dict[str, dict[Key, Condition]] = {}
        for key, condition in self._open.items():
            before.setdefault(condition.rule.name, {})[key] = condition
        conditions: dict[Key, Condition] = {}
        ended: list[Condition] = []
        for rule in self._rules:
            about = FIGURES[rule.figure].about
            of_rule = before.pop(rule.name, {})
            if rule.figure not in values:  # the data is old, or the feed is silent
                conditions |= of_rule
                continue
            now = as_of if about in ("campaign", "agents") else published_at
            still, over = _followed(rule, of_rule, values[rule.figure], now)
            conditions |= still
            ended += over
        for of_rule in before.values():  # of rules that are not there any more
            ended += [c.ended(published_at, "removed") for c in of_rule.values() if c.fired_at]
        self._note(conditions, ended)

    def _note(self, conditions: dict[Key, Condition], ended: list[Condition]) -> None:
        firing_before = {c.alert_id for c in self._open.values() if c.fired_at}
        for condition in conditions.values():
            if condition.fired_at and condition.alert_id not in firing_before:
                log.info("alert fired: %s", _written(condition))
        for condition in ended:
            log.info("alert ended (%s): %s", condition.end_reason, _written(condition))
        self._has_changed |= bool(ended) or _steps(conditions) != _steps(self._open)
        self._unsaved += ended
        self._open = conditions

    def _save(self, now: dt.datetime) -> None:
        with self._store.transaction():
            with self._store.registered("changed_alerts", _table([*self._open.values(), *self._unsaved])):
                self._store.sql(ALERTS["save"])
            if self._unsaved:
                self._store.sql(ALERTS["forget"], {"kept_since": now - KEPT, "most": MOST_KEPT})
        self._unsaved = []
        self._has_changed = False
        self._saved_at = now


def _followed(
    rule: AlertRule, before: Mapping[Key, Condition], values: Mapping[Subject, Value], now: dt.datetime
) -> tuple[dict[Key, Condition], list[Condition]]:
    """Return the rule's conditions at `now`, and its firings that ended. `before`: its conditions until now."""
    conditions: dict[Key, Condition] = {}
    ended: list[Condition] = []
    goes_on: set[Key] = set()
    for subject, measured in values.items():
        if not _applies(rule, subject):
            continue
        key = (rule.name, subject.campaign, subject.source)
        known = before.get(key)
        if known is not None and _watches(known.rule) == _watches(rule):
            goes_on.add(key)
        else:
            known = None
        condition = follow(rule, subject, known, measured.at(rule.sites), now)
        if condition and condition.ended_at:
            ended.append(condition)
        elif condition:
            conditions[key] = condition
    ended += [c.ended(now, "removed") for key, c in before.items() if key not in goes_on and c.fired_at]
    return conditions, ended


def _key(condition: Condition) -> Key:
    return (condition.rule.name, condition.subject.campaign, condition.subject.source)


def _applies(rule: AlertRule, subject: Subject) -> bool:
    if subject.campaign is not None:
        return rule.campaigns is None or subject.campaign in rule.campaigns
    return subject.source is None or rule.sources is None or subject.source in rule.sources


def _watches(rule: AlertRule) -> tuple[str, str]:
    """What a rule is about: if this changes, it is another rule by the same name."""
    return rule.figure, rule.comparison


def _steps(conditions: dict[Key, Condition]) -> dict[Key, tuple[dt.datetime, bool]]:
    """How far each condition has come, without its values."""
    return {key: (c.began_at, c.fired_at is not None) for key, c in conditions.items()}


def _written(condition: Condition) -> str:
    rule, subject = condition.rule, condition.subject
    about = f" of {subject.campaign or subject.source}" if subject.campaign or subject.source else ""
    return f"{rule.name}, {rule.figure}{about} {condition.value:g}, {rule.comparison} {condition.threshold:g}"


def _table(conditions: Iterable[Condition]) -> pa.Table:
    return pa.Table.from_pylist([_row(condition) for condition in conditions], schema=COLUMNS)


def _row(c: Condition) -> dict[str, Any]:
    rule, subject = c.rule, c.subject
    return {
        "alert_id": c.alert_id,
        "rule": rule.name,
        "severity": rule.severity,
        "figure": rule.figure,
        "campaign": subject.campaign,
        "client": subject.client,
        "source": subject.source,
        "comparison": rule.comparison,
        "threshold": c.threshold,
        "end_threshold": c.end_threshold,
        "usual": c.usual if rule.by_usual else None,
        "value": c.value,
        "worst": c.worst,
        "worst_at": c.worst_at,
        "calls": c.calls,
        "began_at": c.began_at,
        "fired_at": c.fired_at,
        "ended_at": c.ended_at,
        "end_reason": c.end_reason,
        "notify": rule.notify,
        "escalate": rule.escalate,
        "escalate_after_s": rule.escalate_after_s,
        "repeat_after_s": rule.repeat_after_s,
        "seen_at": c.seen_at,
    }


def _condition(row: dict[str, Any]) -> Condition:
    """Return the condition that a row of the store describes. Its rule is as it was then, by absolute thresholds."""
    rule = AlertRule(
        *(row["rule"], row["figure"], row["comparison"], row["threshold"], row["end_threshold"]),
        severity=row["severity"],
        notify=tuple(row["notify"]),
        escalate=tuple(row["escalate"]),
        escalate_after_s=row["escalate_after_s"],
        repeat_after_s=row["repeat_after_s"],
    )
    subject = Subject(row["campaign"], row["client"], row["source"])
    same = (
        "threshold",
        "end_threshold",
        "usual",
        "value",
        "worst",
        "worst_at",
        "calls",
        "began_at",
        "seen_at",
        "fired_at",
    )
    return Condition(rule, subject, **{name: row[name] for name in same})
