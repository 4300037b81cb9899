"""The channels of notify: which deliver, which fail since when and why, and how many messages wait."""

from collections.abc import Sequence
from html import escape

from metrics.language.failure_words import OTHER, failure
from notify.desk import ChannelState
from pages.shared import table
from pages.shared.i18n import DASH, Text
from pages.shared.marks import state_mark


def troubles(channels: Sequence[ChannelState], text: Text) -> list[str]:
    """Return a sentence for each channel that does not deliver, or has given up messages."""
    _ = text.gettext
    sentences = []
    for channel in channels:
        if channel.failing_since is not None:
            words = text.ngettext(
                "No message has reached {channel} since {time} UTC ({reason}), and {n} waits. It is tried again.",
                "No message has reached {channel} since {time} UTC ({reason}), and {n} wait. They are tried again.",
                channel.waiting,
            )
            time = text.clock(channel.failing_since, "UTC")
            sentences.append(
                words.format(
                    channel=f"{channel.channel} ({channel.service})",
                    time=f"{text.date(channel.failing_since)} {time}",
                    n=text.number(channel.waiting),
                    reason=failure(channel.reason or OTHER, text),
                )
            )
        if channel.given_up:
            lost = text.ngettext(
                "{n} message to {channel} was given up after a day.",
                "{n} messages to {channel} were given up after a day.",
                channel.given_up,
            )
            sentences.append(lost.format(n=text.number(channel.given_up), channel=channel.channel))
    return sentences


def channels(channels: Sequence[ChannelState], text: Text) -> str:
    """Draw every channel that was used, those that fail first."""
    _ = text.gettext
    rows = []
    for channel in channels:
        kind, word = ("met", _("delivers")) if channel.failing_since is None else ("missed", _("fails"))
        sent = DASH
        if channel.sent_at is not None:
            sent = f"{text.date(channel.sent_at)} {text.clock(channel.sent_at, 'UTC')}"
        numbers = table.cells((channel.service, sent, text.number(channel.waiting)))
        rows.append(table.row(escape(channel.channel), numbers + table.cell(state_mark(kind, word))))
    head = table.heads((_("Channel"), _("Service"), _("Last delivered (UTC)"), _("Waiting"), _("State")))
    return table.table(head, rows, "sums", scrolls=True)
