"""The alarms that ring, a sentence for each kind: what is wrong, where, and since when."""

from collections.abc import Iterator, Sequence
from datetime import date

from metrics.readers import Alarm, Campaign
from pages.shared.i18n import Text, short

LISTED = 6
"""Name at most this many places in an alarm, then '+n'."""


def sentences(alarms: Sequence[Alarm], text: Text) -> list[str]:
    """Return the alarms in words, those about a campaign's calls first."""
    lines = []
    for kind, wording in WORDINGS.items():
        ringing = [alarm for alarm in alarms if alarm.kind == kind]
        if ringing:
            since = min(alarm.since for alarm in ringing)
            since_words = text.gettext("Since {day}, {time} UTC.")
            since_words = since_words.format(day=text.date(since), time=text.clock(since, "UTC"))
            lines.append(" ".join((*wording(ringing, text), since_words)))
    return lines


def day_of(campaign: Campaign, day: date | None, text: Text) -> str:
    """Name a campaign's day: its date, "today", or that it is no day."""
    if day is None:
        return text.gettext("in no day")
    return text.gettext("today") if day == campaign.day else text.date(day)


def _calls_not_conserved(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    words = text.ngettext(
        "Calls are not conserved on {n} day of a campaign: {names}. Its figures of that day cannot be trusted.",
        "Calls are not conserved on {n} days of campaigns: {names}. Their figures of those days cannot be trusted.",
        len(alarms),
    )
    yield words.format(n=text.number(len(alarms)), names=_listed([_place(alarm, text) for alarm in alarms]))


def _impossible_count(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    words = text.gettext("Some counts are impossible: {counts}. Figures cannot be trusted.")
    yield words.format(counts=_listed([_impossible(alarm, text) for alarm in alarms]))


def _impossible(alarm: Alarm, text: Text) -> str:
    _ = text.gettext
    n, most = text.number(alarm.counted), text.number(alarm.expected)
    if alarm.counted < 0:
        names = {
            "offered": _("Offered"),
            "accounted": _("Accounted for"),
            "refused": _("Refused"),
            "answered": _("Answered"),
            "answered_in_threshold": _("Answered in time"),
            "handled": _("Handled"),
            "records": _("Records"),
            "events": _("Events"),
            "duplicates": _("Duplicates"),
            "dead_letters": _("Dead letters"),
        }
        what = f"{names.get(alarm.measure, alarm.measure)} {n}"
    elif alarm.measure == "answered":
        what = _("{n} answered of {most} offered").format(n=n, most=most)
    elif alarm.measure == "answered_in_threshold":
        what = _("{n} answered in time of {most} answered").format(n=n, most=most)
    elif alarm.measure == "handled":
        what = _("{n} handled of {most} answered").format(n=n, most=most)
    else:
        words = text.ngettext("{n} call with a negative time", "{n} calls with a negative time", alarm.counted)
        what = words.format(n=n)
    place = _place(alarm, text)
    return _("{place}: {what}").format(place=place, what=what) if place else what


def _rows_doubled(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    days = []
    for alarm in alarms:
        more = alarm.counted - alarm.expected
        words = {
            "events": text.ngettext("{day}: {n} event too many", "{day}: {n} events too many", more),
            "calls": text.ngettext("{day}: {n} call too many", "{day}: {n} calls too many", more),
            "agent_states": text.ngettext("{day}: {n} agent state too many", "{day}: {n} agent states too many", more),
        }[alarm.measure]
        assert alarm.day is not None
        days.append(words.format(day=text.date(alarm.day), n=text.number(more)))
    words = text.gettext("The archive has rows more than once ({days}). Figures of those days cannot be trusted.")
    yield words.format(days=_listed(days))


def _files_damaged(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    days = {alarm.day: text.date(alarm.day) for alarm in alarms if alarm.day}
    words = text.ngettext(
        "{n} archived file is damaged ({days}). Figures of that day cannot be trusted until it is restored. The"
        " consumer's log names it.",
        "{n} archived files are damaged ({days}). Figures of those days cannot be trusted until they are restored. The"
        " consumer's log names them.",
        count := sum(alarm.counted for alarm in alarms),
    )
    yield words.format(n=text.number(count), days=_listed([days[day] for day in sorted(days, reverse=True)]))


def _events_not_conserved(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    _ = text.gettext
    for alarm in alarms:
        words = (
            _("{accepted} events were accepted and {n} are stored. Figures cannot be trusted.")
            if alarm.measure == "stored"
            else _("{accepted} events were accepted, and the sources have {n} in all.")
        )
        yield words.format(accepted=text.number(alarm.expected), n=text.number(alarm.counted))


def _records_not_conserved(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    words = text.gettext("{records} records were read, but {n} left an event or a dead letter.")
    for alarm in alarms:
        yield words.format(records=text.number(alarm.expected), n=text.number(alarm.counted))


def _letters_left_out(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    _ = text.gettext
    unnamed = _("no source named")
    places = [f"{_place(alarm, text) or unnamed} {text.number(alarm.counted)}" for alarm in alarms]
    words = _(
        "More lines are rejected than are kept, so these were only counted: {sources}. Figures lack what they should"
        " have said."
    )
    yield words.format(sources=_listed(places))


def _calls_in_no_campaign(alarms: Sequence[Alarm], text: Text) -> Iterator[str]:
    for alarm in alarms:
        words = text.ngettext(
            "{n} call is in no campaign: no event says when it entered a queue or was dialled. It is in no figure.",
            "{n} calls are in no campaign: no event says when they entered a queue or were dialled."
            " They are in no figure.",
            alarm.counted,
        )
        yield words.format(n=text.number(alarm.counted))


WORDINGS = {
    "calls_not_conserved": _calls_not_conserved,
    "impossible_count": _impossible_count,
    "rows_doubled": _rows_doubled,
    "files_damaged": _files_damaged,
    "events_not_conserved": _events_not_conserved,
    "records_not_conserved": _records_not_conserved,
    "letters_left_out": _letters_left_out,
    "calls_in_no_campaign": _calls_in_no_campaign,
}


def _place(alarm: Alarm, text: Text) -> str:
    """Name what an alarm is about: a day of a campaign, or a source; empty when it is about all events."""
    if alarm.campaign is None:
        return short(alarm.source or "")
    return f"{alarm.campaign.name} ({day_of(alarm.campaign, alarm.day, text)})"


def _listed(places: Sequence[str]) -> str:
    more = len(places) - LISTED
    return ", ".join((*places[:LISTED], f"+{more}") if more > 0 else places)
