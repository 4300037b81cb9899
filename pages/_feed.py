"""How the data comes in: counters, partitions, sources, the identity of each campaign's day, what was rejected."""

from datetime import datetime
from html import escape

from metrics.readers import Check, DeadLetter, Feed, Gap, Partition, Source
from pages import _alarms
from pages._alarms import day_of
from pages._board import SILENT_S, STALE_S
from pages._i18n import DASH, Text
from pages._where import href

SCARCE_BYTES = 2 * 1024**3
"""A disk with less than this free is told: a day of a busy floor takes about as much."""
LAG_SHOWN = 1_000
"""A partition's bar is full at the greatest lag, but at no less than this [records]: what one batch reads is no lag."""
SHOWN_REASON = 160
PAYLOAD = 20_000

Tile = tuple[str, str, str, bool]
"""Label, value, what it is, and whether somebody should look."""


def counters(feed: Feed, now: datetime, text: Text) -> str:
    """Draw how far and how fast is read, what was read, and how old everything is, by the clock now."""
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
            _("rejected, each kept with its reason"),
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
    """Return what is wrong, a sentence each."""
    _ = text.gettext
    said = []
    fresh = feed.freshness
    if not feed.counters.lag and (fresh.published_at - fresh.as_of).total_seconds() > STALE_S:
        words = _("Kafka has not answered since {time} UTC. What happened after that is not known here.")
        said.append(words.format(time=text.clock(fresh.as_of, "UTC", seconds=True)))
    said += _alarms.sentences(feed.alarms, text)
    if feed.gaps:
        said.append(_gaps(feed.gaps, text))
    if feed.notice:
        words = _("The configuration has changed and cannot be used, so the one before stays in force. {reason}")
        said.append(words.format(reason=feed.notice))
    return said


def _gaps(found: tuple[Gap, ...], text: Text) -> str:
    """How many records are missing for good, and where the newest of them lay."""
    last = found[0]
    missing = sum(one.records for one in found)
    words = text.ngettext(
        "Kafka deleted {n} record before it was read; figures lack it. Noticed {day}, {time} UTC: {where}.",
        "Kafka deleted {n} records before they were read; figures lack them. Last noticed {day}, {time} UTC: {where}.",
        missing,
    )
    where = f"{last.topic} / {last.partition} / {text.number(last.begin)}–{text.number(last.end - 1)}"
    at = last.noticed_at
    return words.format(n=text.number(missing), day=text.date(at), time=text.clock(at, "UTC"), where=where)


def notices(feed: Feed, text: Text) -> list[str]:
    """Return what somebody should know, a sentence each."""
    said = []
    if feed.unconfigured:
        names = ", ".join(one.campaign for one in feed.unconfigured)
        words = text.ngettext(
            "{n} campaign is in the events and not in the configuration, and is judged by the defaults: {names}",
            "{n} campaigns are in the events and not in the configuration, and are judged by the defaults: {names}",
            len(feed.unconfigured),
        )
        said.append(words.format(n=text.number(len(feed.unconfigured)), names=names))
    # those that have waited for longer are an alarm
    waiting = (feed.unplaced or 0) - sum(one.counted for one in feed.alarms if one.kind == "calls_in_no_campaign")
    if waiting > 0:
        words = text.ngettext(
            "{n} call waits for the event that says when it entered a queue; it counts in no campaign until then.",
            "{n} calls wait for the event that says when they entered a queue; they count in no campaign until then.",
            waiting,
        )
        said.append(words.format(n=text.number(waiting)))
    return said


def conservation(feed: Feed, text: Text) -> str:
    """Draw the identity of each campaign's day so far, what came in is what became of it; before it, what failed."""
    _ = text.gettext
    shown = [*feed.violated, *(check for check in feed.today if check.conserved)]
    head = (_("Campaign"), _("Offered"), _("Accounted for"), _("Refused, apart"), _("Conserved"))
    return _table("sums", head, [_identity(one, text) for one in shown])


def _identity(one: Check, text: Text) -> str:
    _ = text.gettext
    kind, word = ("met", _("yes")) if one.conserved else ("missed", _("no"))
    offered, refused = (
        _behind(one, asked, n, text)
        for asked, n in (({"kpi": "offered"}, one.offered), ({"outcome": "refused"}, one.refused))
    )
    accounted = _behind(one, {"kpi": "offered"}, one.accounted, text)
    counts = f"<td>{offered}</td><td>{accounted}</td><td>{refused}</td>"
    day = "" if one.day == one.campaign.day else f"<small>{escape(day_of(one.campaign, one.day, text))}</small>"
    return (
        f"<tr><th>{escape(one.campaign.name)}{day}</th>{counts}"
        f'<td><span class="state {kind}"><i></i>{escape(word)}</span></td></tr>'
    )


def _behind(one: Check, asked: dict[str, str], n: int, text: Text) -> str:
    """Draw a count that leads to its calls."""
    if not n or one.day is None:
        return text.number(n)
    day = {} if one.day == one.campaign.day else {"day": one.day.isoformat()}
    address = href("calls", {"campaign": one.campaign.campaign} | day | asked)
    return f'<a href="{escape(address)}" target="_self">{text.number(n)}</a>'


def sources(found: tuple[Source, ...], now: datetime, text: Text) -> str:
    """Draw each source with its last event; those that have been silent for long come first, the longest on top."""
    _ = text.gettext
    silent_s = {one: (now - one.last_event_at).total_seconds() for one in found}
    silent = [one for one in found if silent_s[one] > SILENT_S]
    rows = []
    for one in (*sorted(silent, key=lambda one: one.last_event_at), *(one for one in found if one not in silent)):
        kind, word = ("near", _("silent")) if one in silent else ("met", _("sending"))
        age = escape(text.age(silent_s[one]))
        rows.append(
            f'<tr class="{kind}"><th>{escape(one.source)}</th><td>{text.number(one.events)}</td><td>{age}</td>'
            f'<td><span class="state {kind}"><i></i>{escape(word)}</span></td></tr>'
        )
    return _table("sums told", (_("Source"), _("Events"), _("Last event, ago"), _("State")), rows)


def partitions(found: tuple[Partition, ...], text: Text) -> str:
    """Draw how far each partition is read, and what is left of it."""
    _ = text.gettext
    most = max([LAG_SHOWN, *(one.lag for one in found)])
    rows = []
    for one in found:
        numbers = "".join(f"<td>{text.number(n)}</td>" for n in (one.position, one.end, one.lag))
        width = 100 * one.lag / most
        bar = f'<td class="track"><div><i style="width:{width:.1f}%"></i></div></td>'
        rows.append(f"<tr><th>{escape(one.topic)} / {one.partition}</th>{numbers}{bar}</tr>")
    return _table("sums lags", (_("Partition"), _("Read to"), _("Ends at"), _("Lag"), ""), rows)


def letters(found: tuple[DeadLetter, ...], text: Text) -> str:
    """Draw the newest rejected records: where each lies, and what was wrong with it."""
    _ = text.gettext
    rows = [
        f"<tr><th>{escape(received(one, text))}</th><td>{escape(one.position)}</td>"
        f'<td class="wrap">{escape((one.reason or DASH)[:SHOWN_REASON])}</td></tr>'
        for one in found
    ]
    return _table("", (_("Received (UTC)"), _("Position"), _("Reason")), rows, "letters")


def received(one: DeadLetter, text: Text) -> str:
    if one.received_at is None:
        return DASH
    return f"{text.date(one.received_at)} {text.clock(one.received_at, 'UTC', seconds=True)}"


def _table(kind: str, head: tuple[str, ...], rows: list[str], scroll: str = "") -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    return (
        f'<div class="vigie-scroll {scroll}" tabindex="0"><table class="vigie-table {kind}">'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
