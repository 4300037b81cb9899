"""All campaigns over a day, a week or a month."""

from datetime import date, timedelta

import streamlit as st

from metrics import readers
from pages.accounts import visitor
from pages.day import period_table
from pages.shared import choices, empty, names, selection, ticks

PERIOD_S = 15

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def bounds(period: str, day: date) -> tuple[date, date]:
    """Return the first day of the period around `day`, and the day after its last."""
    if period == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=7)
    if period == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    return day, day + timedelta(days=1)


@ticks.tick(PERIOD_S)
def table(first: date, after: date) -> None:
    """Draw the campaigns."""
    found = readers.campaigns_in(readers.published(), viewer, first, after)
    if found is not None:
        st.html(period_table.draw(found, viewer, text))
        st.caption(period_table.caption(found, text))


def page() -> None:
    board = readers.board(readers.published(), viewer, ends_of=())
    if board is None:
        empty.nothing_published(text)
        return
    if not board.campaigns:
        empty.no_campaigns(text)
        return
    today = max(tile.campaign.day for tile in board.campaigns)
    first_day = readers.first_day(readers.published(), viewer)
    with st.container(horizontal=True, vertical_alignment="bottom", key="bar"):
        period = choices.segments("period", _("Period"), {"day": _("Day"), "week": _("Week"), "month": _("Month")})
        day = selection.choose_any_day(first_day, today, text)
    first, after = bounds(period, day)
    st.subheader(period_table.name(period, first, after, text), anchor=False)
    if not viewer.sees_work:
        st.caption(f":material/lock: {names.privacy(text)}")
    table(first, after)


page()
