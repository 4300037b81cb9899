"""The tables of the page of alerts: how often each rule rang, the silences in force, and who did what."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from statistics import median

from metrics.language import alert_words
from metrics.language.alert_words import Places
from metrics.readers import Alert
from notify.desk import AuditEntry, Silence
from pages.shared import table
from pages.shared.i18n import DASH, Text
from pages.shared.table import cells, heads, row


@dataclass(frozen=True, slots=True)
class Rule:
    """How often a rule rang, how long its alerts lasted [s], and how many of them somebody acknowledged."""

    rule: str
    alert: Alert
    rang: int
    median_s: float
    total_s: float
    acknowledged: int


def rules_of(alerts: Iterable[Alert], acknowledged: Collection[str], now: datetime) -> tuple[Rule, ...]:
    """Sum up alerts by rule, the rule that rang most often first. What still fires lasts until `now`."""
    by_rule: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        by_rule[alert.rule].append(alert)
    rules = []
    for rule, rang in by_rule.items():
        lasted = [((alert.ended_at or now) - alert.fired_at).total_seconds() for alert in rang]
        count = sum(alert.alert_id in acknowledged for alert in rang)
        latest = max(rang, key=lambda alert: alert.fired_at)
        rules.append(Rule(rule, latest, len(rang), median(lasted), sum(lasted), count))
    return tuple(sorted(rules, key=lambda rule: (-rule.rang, rule.rule)))


def rules(rules: Sequence[Rule], text: Text) -> str:
    """Draw how often each rule rang, for how long, and how much of it was acknowledged."""
    _ = text.gettext
    head = heads((_("Rule"), _("Times fired"), _("Usually lasts"), _("In total"), _("Acknowledged"), _("Last (UTC)")))
    rows = [
        row(
            f"{escape(rule.rule)}<small>{escape(alert_words.headline(rule.alert, text))}</small>",
            cells(
                (
                    text.number(rule.rang),
                    text.age(rule.median_s),
                    text.age(rule.total_s),
                    text.percent(rule.acknowledged / rule.rang, 0),
                    _in_utc(rule.alert.fired_at, text),
                )
            ),
        )
        for rule in rules
    ]
    return table.table(head, rows, "sums told-rules", scrolls=True)


def silence(silence: Silence, places: Places, text: Text) -> str:
    """Say what a silence covers, until when, and who set it and why."""
    _ = text.gettext
    campaign = places.get(silence.campaign or "", (silence.campaign or "", ""))[0]
    if silence.rule and silence.campaign:
        what = _("{rule} for {campaign}").format(rule=silence.rule, campaign=campaign)
    else:
        what = silence.rule or campaign or _("All alerts")
    zone = alert_words.zone_of(silence.campaign, places)
    time = alert_words.clock(silence.until_at, zone, text, is_named=True)
    until = _("until {time}").format(time=f"{text.date_of(silence.until_at, zone)} {time}")
    why = _("{subject}: {words}").format(subject=silence.who, words=silence.why)
    return f'<div class="vigie-alert"><p><b>{escape(what)}</b> {escape(until)}</p><small>{escape(why)}</small></div>'


def audit(entries: Sequence[AuditEntry], places: Places, text: Text) -> str:
    """Draw who did what."""
    _ = text.gettext
    actions = {
        "acknowledge": _("acknowledged"),
        "silence": _("silenced"),
        "end_silence": _("ended the silence of"),
    }
    head = heads((_("When (UTC)"), _("Who"), _("What"), _("Until (UTC)"), _("Why")))
    rows = []
    for entry in entries:
        campaign = places.get(entry.campaign or "", (entry.campaign or "", ""))[0]
        about = " · ".join(filter(None, (entry.rule, campaign))) or _("All alerts")
        until = DASH if entry.until_at is None else _in_utc(entry.until_at, text)
        what = f"{actions[entry.action]} {about}"
        rows.append(
            row(
                escape(_in_utc(entry.at, text)),
                cells((entry.who, what, until)) + table.cell(escape(entry.why or DASH), "wrap"),
            )
        )
    return table.table(head, rows, scrolls=True, frame="letters")


def _in_utc(at: datetime, text: Text) -> str:
    return f"{text.date_of(at, 'UTC')} {text.clock(at, 'UTC')}"
