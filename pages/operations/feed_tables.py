"""How the data comes in: counters, alarms, conservation of calls, sources, partitions, and dead letters."""

from datetime import datetime
from html import escape

from metrics.readers import Check, DeadLetter, Feed, Gap, Partition, Source
from pages.operations import alarm_list
from pages.operations.alarm_list import day_of
from pages.shared import table
from pages.shared.i18n import DASH, Text, short
from pages.shared.marks import SILENT_S, STALE_S, state_mark
from pages.shared.selection import href

SCARCE_BYTES = 2 * 1024**3
"""Warn when less than this is free on the disk: a busy floor needs about as much in a day."""
LAG_SCALE = 1_000
"""A partition's bar is full at the greatest lag, but at least at this [records]: what one batch reads is no lag."""
REASON_LENGTH = 160
PAYLOAD_LENGTH = 20_000
"""How much of a dead letter's reason and payload is shown [characters]."""

Tile = tuple[str, str, str, bool]
"""Label, value, explanation, and whether somebody should look."""


def counters(feed: Feed, now: datetime, text: Text) -> str:
    """Draw the counters: lag and pace, age at the time `now`, what was read, and the disk."""
    tiles = (*_pace(feed, now, text), *_read(feed, text), *_disk(feed, text))
    return '<div class="vigie-tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _pace(feed: Feed, now: datetime, text: Text) -> tuple[Tile, ...]:
    _ = text.gettext
    fresh, counts = feed.freshness, feed.counters
    age_s = fresh.age_s(now)
    event_s = None if fresh.last_event_at is None else (now - fresh.last_event_at).total_seconds()
    as_of = _("as of {time} UTC").format(time=text.clock(fresh.as_of, "UTC", seconds=True))
    last = DASH if event_s is None else text.age(event_s)
    return (
        (_("Lag"), text.number(counts.lag), _("records not yet read"), False),
        (_("Pace"), text.rate(counts.records_per_s), _("records a second"), False),
        (_("Last event"), last, _("ago, by its own clock"), event_s is None or event_s > SILENT_S),
        (_("Snapshot age"), text.age(age_s), as_of, age_s > STALE_S),
        (_("Publishing takes"), text.seconds(counts.publish_s), _("for one snapshot"), False),
    )


def _read(feed: Feed, text: Text) -> tuple[Tile, ...]:
    _ = text.gettext
    counts = feed.counters
    records = text.ngettext("from {n} record", "from {n} records", counts.records or 0)
    return (
        (_("Events"), text.number(counts.events), records.format(n=text.number(counts.records)), False),
        (_("Duplicates"), text.number(counts.duplicates), _("delivered again, counted once"), False),
        (
            _("Dead letters"),
            text.number(counts.dead_letters),
            _("rejected; kept with the reason, up to a limit"),
            bool(counts.dead_letters),
        ),
    )


def _disk(feed: Feed, text: Text) -> tuple[Tile, ...]:
    _ = text.gettext
    counts = feed.counters
    free = counts.disk_free_bytes
    parts = _("store {store}, published {published}").format(
        store=text.size(counts.store_bytes), published=text.size(counts.published_bytes)
    )
    used = None if counts.store_bytes is None else counts.store_bytes + (counts.published_bytes or 0)
    return (
        (_("On disk"), text.size(used), parts, False),
        (_("Free on disk"), text.size(free), _("left for new data"), free is not None and free < SCARCE_BYTES),
    )


def _tile(label: str, value: str, about: str, is_late: bool) -> str:
    nil = ' class="nil"' if value == DASH else ""
    kind, mark = ("late", "<i></i>") if is_late else ("", "")
    return (
        f'<div class="card {kind}"><span>{mark}{escape(label)}</span><b{nil}>{escape(value)}</b>'
        f"<small>{escape(about)}</small></div>"
    )


def alarms(feed: Feed, text: Text) -> list[str]:
    """Return what is wrong, one sentence each."""
    _ = text.gettext
    sentences = []
    fresh = feed.freshness
    if not feed.counters.lag and (fresh.published_at - fresh.as_of).total_seconds() > STALE_S:
        words = _("Kafka has not answered since {time} UTC. What happened after that is not known here.")
        sentences.append(words.format(time=text.clock(fresh.as_of, "UTC", seconds=True)))
    if feed.foreign_logs:
        words = _(
            "{file} is beside the published file: somebody has opened that file for writing. These pages ignore it."
            " Other tools read it, so their figures may be wrong until the consumer publishes again and removes it."
        )
        sentences.append(words.format(file=", ".join(feed.foreign_logs)))
    sentences += alarm_list.sentences(feed.alarms, text)
    if feed.gaps:
        sentences.append(_gaps(feed.gaps, text))
    if feed.notice:
        words = _("The configuration has changed and cannot be used, so the previous one stays in force. {reason}")
        sentences.append(words.format(reason=feed.notice))
    return sentences


def _gaps(gaps: tuple[Gap, ...], text: Text) -> str:
    """Say how many records are lost for good, and where the newest gap is."""
    newest = gaps[0]
    missing = sum(gap.records for gap in gaps)
    words = text.ngettext(
        "Kafka deleted {n} record before it was read; figures lack it. Noticed {day}, {time} UTC: {where}.",
        "Kafka deleted {n} records before they were read; figures lack them. Last noticed {day}, {time} UTC: {where}.",
        missing,
    )
    where = f"{newest.topic} / {newest.partition} / {text.number(newest.begin)}–{text.number(newest.end - 1)}"
    at = newest.noticed_at
    return words.format(n=text.number(missing), day=text.date(at), time=text.clock(at, "UTC"), where=where)


def notices(feed: Feed, text: Text) -> list[str]:
    """Return what somebody should know, one sentence each."""
    sentences = []
    if feed.unconfigured:
        names = ", ".join(campaign.campaign for campaign in feed.unconfigured)
        words = text.ngettext(
            "{n} campaign is in the events and not in the configuration, and is judged by the defaults: {names}",
            "{n} campaigns are in the events and not in the configuration, and are judged by the defaults: {names}",
            len(feed.unconfigured),
        )
        sentences.append(words.format(n=text.number(len(feed.unconfigured)), names=names))
    # calls that have waited for longer raise an alarm instead
    waiting = (feed.unplaced or 0) - sum(alarm.counted for alarm in feed.alarms if alarm.kind == "calls_in_no_campaign")
    if waiting > 0:
        words = text.ngettext(
            "{n} call waits for the event that says when it entered a queue; it counts in no campaign until then.",
            "{n} calls wait for the event that says when they entered a queue; they count in no campaign until then.",
            waiting,
        )
        sentences.append(words.format(n=text.number(waiting)))
    return sentences


def conservation(feed: Feed, text: Text) -> str:
    """Draw each campaign's day so far: the calls offered and the sum of their outcomes. Failed checks come first."""
    _ = text.gettext
    shown = [*feed.violated, *(check for check in feed.today if check.conserved)]
    head = (_("Campaign"), _("Offered"), _("Accounted for"), _("Refused, apart"), _("Conserved"))
    return _table(head, [_check_row(check, text) for check in shown], "sums")


def _check_row(check: Check, text: Text) -> str:
    _ = text.gettext
    kind, word = ("met", _("yes")) if check.conserved else ("missed", _("no"))
    offered, refused = (
        _calls_link(check, params, n, text)
        for params, n in (({"kpi": "offered"}, check.offered), ({"outcome": "refused"}, check.refused))
    )
    accounted = _calls_link(check, {"kpi": "offered"}, check.accounted, text)
    day = "" if check.day == check.campaign.day else f"<small>{escape(day_of(check.campaign, check.day, text))}</small>"
    cells = "".join(map(table.cell, (offered, accounted, refused, state_mark(kind, word))))
    return table.row(escape(check.campaign.name) + day, cells)


def _calls_link(check: Check, params: dict[str, str], n: int, text: Text) -> str:
    """Draw a count with a link to its calls."""
    if not n or check.day is None:
        return text.number(n)
    day_params = {} if check.day == check.campaign.day else {"day": check.day.isoformat()}
    address = href("calls", {"campaign": check.campaign.campaign} | day_params | params)
    return f'<a href="{escape(address)}" target="_self">{text.number(n)}</a>'


def sources(sources: tuple[Source, ...], now: datetime, text: Text) -> str:
    """Draw each source with its last event. Silent sources come first, the longest silent on top."""
    _ = text.gettext
    silent_s = {source: (now - source.last_event_at).total_seconds() for source in sources}
    silent = [source for source in sources if silent_s[source] > SILENT_S]
    rows = []
    longest_first = sorted(silent, key=lambda source: source.last_event_at)
    for source in (*longest_first, *(source for source in sources if source not in silent)):
        kind, word = ("near", _("silent")) if source in silent else ("met", _("sending"))
        counts = table.cells((text.number(source.events), text.age(silent_s[source])))
        rows.append(table.row(escape(short(source.source)), counts + table.cell(state_mark(kind, word)), kind))
    return _table((_("Source"), _("Events"), _("Last event, ago"), _("State")), rows, "sums told")


def partitions(partitions: tuple[Partition, ...], text: Text) -> str:
    """Draw how far each partition has been read, and its lag."""
    _ = text.gettext
    greatest = max([LAG_SCALE, *(partition.lag for partition in partitions)])
    rows = []
    for partition in partitions:
        numbers = table.cells(map(text.number, (partition.position, partition.end, partition.lag)))
        bar = table.cell(f'<div><i style="width:{100 * partition.lag / greatest:.1f}%"></i></div>', "track")
        rows.append(table.row(f"{escape(partition.topic)} / {partition.partition}", numbers + bar))
    return _table((_("Partition"), _("Read to"), _("Ends at"), _("Lag"), ""), rows, "sums lags")


def letters(letters: tuple[DeadLetter, ...], text: Text) -> str:
    """Draw the newest dead letters: position and reason."""
    _ = text.gettext
    rows = [
        table.row(
            escape(received(letter, text)),
            table.cells([letter.position]) + table.cell(escape((letter.reason or DASH)[:REASON_LENGTH]), "wrap"),
        )
        for letter in letters
    ]
    return _table((_("Received (UTC)"), _("Position"), _("Reason")), rows, frame="letters")


def received(letter: DeadLetter, text: Text) -> str:
    if letter.received_at is None:
        return DASH
    return f"{text.date(letter.received_at)} {text.clock(letter.received_at, 'UTC', seconds=True)}"


def _table(head: tuple[str, ...], rows: list[str], kind: str = "", frame: str = "") -> str:
    return table.table(table.heads(head), rows, kind, scrolls=True, frame=frame)
