"""The bell in the frame of every page: how many alerts fire, and the list of today's."""

import streamlit as st

from metrics import clock
from metrics.authorisation.viewer import Viewer
from pages.alerting import lines
from pages.shared import ticks
from pages.shared.i18n import Text
from pages.shared.ringing import Ringing, ringing

TICK_S = 5
SHOWN = 8
"""Show at most this many alerts in the list."""


def bell(viewer: Viewer, text: Text) -> None:
    """Draw the bell, and keep it up to date."""

    @ticks.tick(TICK_S)
    def draw() -> None:
        now = ringing(viewer, clock.now())
        if now is None:
            return
        count = len(now.firing)
        icon = ":material/notifications_active:" if now.loud else ":material/notifications:"
        label = text.ngettext("{n} alert", "{n} alerts", count).format(n=text.number(count))
        with st.popover(label, icon=icon, key="bell"):
            _list(now, text)

    draw()


def _list(now: Ringing, text: Text) -> None:
    _ = text.gettext
    over = [alert for alert in now.today if alert.ended_at is not None]
    for title, alerts, nothing in (
        (_("Active now"), now.firing, _("No active alerts.")),
        (_("Ended today"), over, _("No other alerts today.")),
    ):
        st.markdown(f"**{title}**")
        if alerts:
            st.html("".join(lines.line(alert, now, text) for alert in alerts[:SHOWN]))
        else:
            st.caption(nothing)
        if len(alerts) > SHOWN:
            rest = len(alerts) - SHOWN
            st.caption(text.ngettext("and {n} more", "and {n} more", rest).format(n=text.number(rest)))
    st.page_link("alerts.py", label=_("Acknowledge, silence, and look back"), icon=":material/arrow_forward:")
