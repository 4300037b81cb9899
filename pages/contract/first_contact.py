"""A month's first-contact resolution in words: how many callers did not have to call again."""

from html import escape

from metrics.readers import Sla
from pages.shared.i18n import Text


def heading(text: Text) -> str:
    return text.gettext("First-contact resolution")


def words(sla: Sla, text: Text) -> str:
    """Say how many contacts were resolved at the first; empty when the period has none, or is a day."""
    of = sla.first_contact
    if of is None:
        return ""
    _ = text.gettext
    resolved = text.ngettext(
        "Contacts resolved at the first: {fcr} ({resolved} of {decided}). A contact is resolved if the caller does not "
        "call again within {days} day.",
        "Contacts resolved at the first: {fcr} ({resolved} of {decided}). A contact is resolved if the caller does not "
        "call again within {days} days.",
        of.fcr_days,
    ).format(
        fcr=text.percent(of.fcr),
        resolved=text.number(of.resolved),
        decided=text.number(of.decided),
        days=text.number(of.fcr_days),
    )
    parts = [resolved]
    if of.pending:
        parts.append(_("Too recent to count: {contacts}.").format(contacts=text.number(of.pending)))
    parts.append(
        _("Callers: {callers}; more than once: {repeat}.").format(
            callers=text.number(of.callers), repeat=text.number(of.repeat_callers)
        )
    )
    if of.unknown:
        parts.append(_("Without a caller’s number: {contacts}.").format(contacts=text.number(of.unknown)))
    return " ".join(parts)


def paragraph(sla: Sla, text: Text) -> str:
    return f"<p>{escape(words(sla, text))}</p>"
