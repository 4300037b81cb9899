"""The entries of the audit trail as a table, in the reader's language."""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from metrics.audit.trail import HERE, OTHERS, Entry
from metrics.authorisation.viewer import ROLES
from pages.shared import names, table
from pages.shared.i18n import Text

NOBODYS_NAMES = (OTHERS, "an unknown name", "a television")
OF_PEOPLE = ("query", "export", "payload")
"""Kinds of entries whose facts are what somebody wrote, or names."""


def kinds(text: Text) -> dict[str, str]:
    """Return the kinds of entries by name, in the order of a list of choices."""
    _ = text.gettext
    return {
        "sign-in": _("signed in"),
        "sign-out": _("signed out"),
        "refusal": _("refused"),
        "export": _("downloaded"),
        "query": _("ran SQL"),
        "payload": _("read a rejected record"),
        "acknowledge": _("acknowledged"),
        "silence": _("silenced"),
        "end-silence": _("ended a silence"),
        "account": _("changed an account"),
        "configuration": _("new configuration"),
        "erasure": _("erased personal data"),
    }


def entries(entries: Iterable[Entry], text: Text) -> str:
    """Draw the entries."""
    _ = text.gettext
    rows = []
    for entry in entries:
        at = datetime.fromtimestamp(entry.at, UTC)
        when = f"{text.date(at)} {text.clock(at, 'UTC', seconds=True)}"
        times = f" × {text.number(entry.times)}" if entry.times > 1 else ""
        cells = (_who(entry.who, text), kinds(text).get(entry.kind, entry.kind) + times, _word(entry.address, text))
        rows.append(table.row(escape(when), table.cells(cells) + table.cell(escape(_facts(entry, text)), "wrap")))
    heads = table.heads((_("Time (UTC)"), _("Who"), _("Action"), _("From"), _("What")))
    return table.table(heads, rows, scrolls=True)


def _who(who: str, text: Text) -> str:
    """Return a name as it is, which may be that of a role, and in the reader's language who has none."""
    return _word(who, text) if who in NOBODYS_NAMES else who


def _facts(entry: Entry, text: Text) -> str:
    if entry.kind in OF_PEOPLE:
        return entry.what
    first, *others = entry.what.split(" · ")
    named = first if entry.kind == "account" else _word(first, text)  # the name of an account may be any word
    return " · ".join((named, *(_word(part, text) for part in others)))


def _word(part: str, text: Text) -> str:
    """Return a word of the trail in the reader's language; names and SQL stay as they are."""
    _ = text.gettext
    words = {
        "": "",
        HERE: _("this machine"),
        OTHERS: _("others"),
        "an unknown name": _("an unknown name"),
        "a television": _("a television"),
        "wrong name or password": _("wrong name or password"),
        "too many attempts": _("too many attempts"),
        "too many passwords are being checked": _("too many people at once"),
        "no such token": _("no such token"),
        "nothing is assigned": _("no role is assigned"),
        "sent by another page": _("sent by another page"),
        "added": _("added"),
        "removed": _("removed"),
        "new password": _("new password"),
        "everything": _("everything"),
        "retention": _("retention"),
        "events": _("events"),
        "calls": _("calls"),
        "names of agents": _("names of agents"),
        "rejected records": _("rejected records"),
        "caller": _("caller"),
        "agent": _("agent"),
    }
    return names.role(part, text) if part in ROLES else words.get(part, part)
