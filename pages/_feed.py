"""How the data comes in: counters, the identity of each campaign's day, what was rejected."""

from datetime import datetime
from html import escape

from metrics.readers import Conserved, DeadLetter, Feed
from pages._board import STALE_S
from pages._i18n import DASH, Text

SHOWN_REASON = 160
PAYLOAD = 20_000


def counters(feed: Feed, now: datetime, text: Text) -> str:
    """Draw what was read and how old everything is. Ages are of the clock now; an old one says so."""
    _ = text.gettext
    fresh, counts = feed.freshness, feed.counters
    age_s = (now - fresh.published_at).total_seconds()
    event_s = None if fresh.last_event_at is None else (now - fresh.last_event_at).total_seconds()
    tiles = [
        (_("Lag"), text.number(counts.lag), _("records not yet read"), ""),
        (_("Snapshot age"), text.age(age_s), _("published, for every page"), "late" if age_s > STALE_S else ""),
        (
            _("Last event"),
            DASH if event_s is None else text.age(event_s),
            _("ago, by its own clock"),
            "late" if event_s is None or event_s > 60 else "",
        ),
        (_("As of"), text.clock(fresh.as_of, "UTC", seconds=True), "UTC", ""),
        (_("Records"), text.number(counts.records), _("read from Kafka"), ""),
        (_("Events"), text.number(counts.events), _("accepted"), ""),
        (_("Duplicates"), text.number(counts.duplicates), _("delivered again, counted once"), ""),
        (
            _("Dead letters"),
            text.number(counts.dead_letters),
            _("rejected, each kept with its reason"),
            "late" if counts.dead_letters else "",
        ),
    ]
    return '<div class="vigie-tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(label: str, value: str, about: str, kind: str) -> str:
    nil = ' class="nil"' if value == DASH else ""
    mark = "<i></i>" if kind == "late" else ""
    return (
        f'<div class="card {kind}"><span>{mark}{escape(label)}</span><b{nil}>{escape(value)}</b>'
        f"<small>{escape(about)}</small></div>"
    )


def alarms(feed: Feed, text: Text) -> list[str]:
    """Return what is wrong, a sentence each."""
    _ = text.gettext
    broken = [one.campaign.name for one in feed.conservation if not one.conserved]
    said = []
    if broken:
        words = text.ngettext(
            "Calls are not conserved in {n} campaign: {names}. Its figures of today cannot be trusted.",
            "Calls are not conserved in {n} campaigns: {names}. Their figures of today cannot be trusted.",
            len(broken),
        )
        said.append(words.format(n=text.number(len(broken)), names=", ".join(broken)))
    return said


def conservation(feed: Feed, text: Text) -> str:
    """Draw the identity of each campaign's day so far: what came in is what became of it."""
    _ = text.gettext
    if not feed.conservation:
        return ""
    head = (_("Campaign"), _("Offered"), _("Accounted for"), _("Refused, apart"), _("Conserved"))
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    rows = "".join(_identity(one, text) for one in feed.conservation)
    return f'<table class="vigie-table sums"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>'


def _identity(one: Conserved, text: Text) -> str:
    _ = text.gettext
    kind, word = ("met", _("yes")) if one.conserved else ("missed", _("no"))
    counts = "".join(f"<td>{text.number(n)}</td>" for n in (one.offered, one.accounted, one.refused))
    return (
        f"<tr><th>{escape(one.campaign.name)}</th>{counts}"
        f'<td><span class="state {kind}"><i></i>{escape(word)}</span></td></tr>'
    )


def letters(found: tuple[DeadLetter, ...], text: Text) -> str:
    """Draw the newest rejected records: where each lies, and what was wrong with it."""
    _ = text.gettext
    head = "".join(f"<th>{escape(word)}</th>" for word in (_("Received (UTC)"), _("Position"), _("Reason")))
    rows = "".join(
        f"<tr><th>{escape(received(one, text))}</th><td>{escape(one.position)}</td>"
        f'<td class="wrap">{escape((one.reason or DASH)[:SHOWN_REASON])}</td></tr>'
        for one in found
    )
    return (
        f'<div class="vigie-scroll letters"><table class="vigie-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def received(one: DeadLetter, text: Text) -> str:
    if one.received_at is None:
        return DASH
    return f"{text.date(one.received_at)} {text.clock(one.received_at, 'UTC', seconds=True)}"
