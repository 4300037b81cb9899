"""What a page says when it has nothing to draw, and what the reader can do."""

import streamlit as st

from metrics import readers
from metrics.readers import PublishedFileError, SnapshotId
from pages.shared.i18n import Text

RETRY_S = 2


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
    wait_for_snapshot()


def unreadable(error: PublishedFileError, text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/sync_problem:",
        _("The published data cannot be read"),
        _("This page continues as soon as a snapshot can be read. The error:"),
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
    """Say there is no such campaign. A campaign of another client gets the same words as one that does not exist."""
    _ = text.gettext
    _say(
        ":material/search_off:",
        _("There is no such campaign here"),
        _("Choose one of yours above."),
    )


def unknown_call(text: Text) -> None:
    """Say there is no such call. A call of another client gets the same words as one that does not exist."""
    _ = text.gettext
    _say(
        ":material/search_off:",
        _("There is no such call here"),
        _("Open a call from a list of calls."),
    )


def unknown_figure(text: Text) -> None:
    """Say there is no such figure: none has this name, or the page is about one agent and agents do not have it."""
    _ = text.gettext
    _say(
        ":material/search_off:",
        _("There is no such figure here"),
        _("Choose one from the list above."),
    )


def nothing_known(text: Text) -> None:
    """Say there are no calls: the period is before the first or after the last data, or before the campaign began."""
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


def failed(text: Text) -> None:
    _ = text.gettext
    _say(
        ":material/error:",
        _("This page could not be shown"),
        _("Load the page again. If that does not help, tell whoever runs Vigie; the reason is in the log."),
    )


def wait_for_snapshot() -> None:
    """Run the page again as soon as a new snapshot is published."""
    _run_again_unless(readers.published().newest())


@st.fragment(run_every=RETRY_S)
def _run_again_unless(seen: SnapshotId | None) -> None:
    if readers.published().newest() != seen:
        st.rerun()


def _say(icon: str, title: str, advice: str) -> None:
    with st.container(key="empty", horizontal_alignment="center"):
        st.markdown(f"## {icon} {title}", width="content", text_alignment="center")
        st.markdown(advice, width=560, text_alignment="center")
