"""Contract terms in words, and when each is in force."""

from datetime import datetime, time, timedelta

from metrics.readers import Term
from pages.shared import names
from pages.shared.i18n import Text


def in_force(term: Term, first: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return the part of `[first, until)` in which a term is in force. All times are the campaign's local time."""
    return max(term.valid_from or first, first), min(term.valid_to or until, until)


def terms_in_words(term: Term, text: Text) -> tuple[str, str, str, str, str]:
    """Describe a term: when it is in force, its formula, which wait is in time, its target, what is a short abandon."""
    _ = text.gettext
    return (
        _validity(term.valid_from, term.valid_to, text),
        names.formula(term.formula, text),
        _("wait {sign} {seconds} s").format(
            sign="≤" if term.wait_at_threshold_counts else "<", seconds=f"{term.threshold_s:g}"
        ),
        text.target(term.target),
        _("wait < {seconds} s").format(seconds=f"{term.short_abandon_s:g}"),
    )


def _validity(since: datetime | None, until: datetime | None, text: Text) -> str:
    """Describe `[since, until)` so that it is clear to which term a day, or an instant, belongs."""
    _ = text.gettext
    if until is None:
        if since is None:
            return _("always")
        pattern = _("from {since} on") if _is_midnight(since) else _("from {since}")
        return pattern.format(since=text.moment(since))
    if _is_midnight(until):
        until -= timedelta(days=1)
        pattern = _("from {since} up to and including {until}") if since else _("up to and including {until}")
    else:
        pattern = _("from {since} until just before {until}") if since else _("until just before {until}")
    return pattern.format(since=since and text.moment(since), until=text.moment(until))


def _is_midnight(at: datetime) -> bool:
    return at.time() == time()
