"""What a page says when it has nothing to draw: calmly, and what to do."""

import streamlit as st

from metrics.readers import PublishedFileError
from pages._i18n import Text


def nothing_published(text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/hourglass_empty:",
        _("Waiting for the first data"),
        _(
            "Nothing has been published yet. This page starts by itself as soon as the consumer publishes: "
            "`make demo` starts everything, `python -m ingest run` the consumer alone."
        ),
    )


def unreadable(error: PublishedFileError, text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/sync_problem:",
        _("The published data cannot be read"),
        _("This page goes on by itself when the next snapshot can be read. What the reader said:"),
    )
    st.code(str(error), language=None, wrap_lines=True)


def no_campaigns(text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/visibility_off:",
        _("No campaign to show"),
        _("No campaign is known yet, or none is assigned to you. Whoever runs Vigie assigns them."),
    )


def unknown_campaign(text: Text) -> None:
    """Say the same of a campaign that does not exist and of one that is another client's."""
    _ = text.gettext
    _say(
        ":material/search_off:",
        _("There is no such campaign here"),
        _("Choose one of yours above."),
    )


def unknown_figure(text: Text) -> None:
    """Say so of a figure that does not exist, or of one that is not known of an agent."""
    _ = text.gettext
    _say(
        ":material/search_off:",
        _("There is no such figure here"),
        _("Choose one from the list above."),
    )


def nothing_known(text: Text) -> None:
    """Say so of a period that what is known does not reach, or in which the campaign was not yet there."""
    _ = text.gettext
    _say(
        ":material/event_busy:",
        _("No calls are known for this period"),
        _("Choose another period above."),
    )


def not_for_you(text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/lock:",
        _("This page is not for you"),
        _("Whoever runs Vigie can give you another role."),
    )


def signed_out(text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/logout:",
        _("You are signed out"),
        _("Load the page again to sign in."),
    )


def _say(icon: str, title: str, words: str) -> None:
    with st.container(key="empty", horizontal_alignment="center"):
        st.markdown(f"## {icon} {title}", width="content", text_alignment="center")
        st.markdown(words, width=560, text_alignment="center")
