"""What the chart of a day shows beside it: the usual weekday, the day before, or any day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import streamlit as st

from metrics.readers import CampaignDay, Comparison
from pages.day import usual_days
from pages.shared.i18n import Text
from pages.shared.selection import Selection, any_day

USUAL, BEFORE, ANY = "usual", "before", "any"


@dataclass(frozen=True)
class Beside:
    """Calls offered, and the service level if it is drawn, at the same times of day as the intervals of a day."""

    name: str
    calls: Sequence[float | None]
    levels: Sequence[float | None] = ()


def of_usual(usual: Comparison | None, day: CampaignDay, text: Text) -> Beside | None:
    """Return what is usual on this weekday; None if no such day had calls."""
    if usual is None or not usual.days:
        return None
    added = [usual.usual_at(interval.start) for interval in day.intervals_with_calls]
    return Beside(usual_days.name(usual, text), [each.mean("offered") if each else None for each in added])


def of_day(other: CampaignDay, day: CampaignDay, text: Text) -> Beside:
    """Return another day. By local time: where the clocks went back, the later of two equal times counts."""
    zone = day.campaign.timezone
    at = {text.clock(interval.start, zone): interval.kpis for interval in other.intervals}
    found = [at.get(text.clock(interval.start, zone)) for interval in day.intervals_with_calls]
    return Beside(
        text.date(other.campaign.day),
        [kpis.offered if kpis else None for kpis in found],
        [kpis.service_level if kpis else None for kpis in found],
    )


def choose(where: Selection, first: date | None, text: Text) -> date | None:
    """Draw the choice of what to show beside the day, kept in the address; None: what is usual.

    `beside` is "before", or the day in ISO format.
    """
    _ = text.gettext
    day = where.campaign.day
    before = day - timedelta(days=1)
    in_address = st.query_params.get("beside", "")
    other = before if in_address == BEFORE else any_day(in_address)
    if other is not None and other >= day:
        other = None
    weekday = text.weekday(day.weekday())
    labels = {
        USUAL: _("Usual {weekday}").format(weekday=weekday),
        BEFORE: _("Yesterday") if where.is_today else _("The day before"),
        ANY: _("Another day"),
    }

    def change() -> None:
        choice = st.session_state["beside_choice"]
        st.query_params.pop("beside", None)
        if choice == BEFORE:
            st.query_params["beside"] = BEFORE
        elif choice == ANY:
            st.query_params["beside"] = (day - timedelta(weeks=1)).isoformat()

    def change_day() -> None:
        chosen = st.session_state["beside_day"]
        if chosen is not None:
            st.query_params["beside"] = chosen.isoformat()

    st.session_state["beside_choice"] = USUAL if other is None else BEFORE if in_address == BEFORE else ANY
    st.selectbox(
        _("Compare with"),
        options=list(labels),
        format_func=labels.__getitem__,
        key="beside_choice",
        on_change=change,
        label_visibility="collapsed",
        width=180,
    )
    if other is not None and in_address != BEFORE:
        st.session_state["beside_day"] = other
        st.date_input(
            _("Another day"),
            min_value=min(other, first or other),
            max_value=before,
            key="beside_day",
            on_change=change_day,
            format="DD/MM/YYYY",
            label_visibility="collapsed",
            width=150,
        )
    return other
