"""The campaign and the time that a page shows: read from its address, chosen in its bar, and put into links."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from html import escape
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.utils import LabelVisibility

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import LONGEST, Board, Campaign
from pages.assets import script
from pages.shared import choices, empty
from pages.shared.i18n import NBSP, Text

EARLIEST = date(2000, 1, 1)
DAY_MIN = 24 * 60
KEPT_QUERIES = 10_000
"""Keep so many addresses: a day by quarters has a thousand links, and nearly all are the same at the next tick."""


@dataclass(frozen=True)
class Selection:
    """A campaign and a time `[t0, t1)`: a local day of the campaign, or any other span.

    `is_today`: its day, or its first day, is the campaign's day at `as_of`.
    """

    campaign: Campaign
    is_today: bool
    t0: datetime
    t1: datetime
    is_whole_day: bool
    board: Board

    def params(self, **more: str | None) -> dict[str, str]:
        """Return the URL parameters of this selection and `more`, without those that are None, in a stable order."""
        params: dict[str, str | None] = {"campaign": self.campaign.campaign}
        if not self.is_whole_day:
            params |= {"from": instant(self.t0), "to": instant(self.t1)}
        elif not self.is_today:
            params["day"] = self.campaign.day.isoformat()
        return {name: value for name, value in (params | more).items() if value is not None}


def href(page: str, params: dict[str, str]) -> str:
    """Return the address of a page, relative to any other page."""
    if "lang" in st.query_params:
        params = params | {"lang": st.query_params["lang"]}
    return f"{page}?{_query(tuple(params.items()))}"


@lru_cache(KEPT_QUERIES)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return urlencode(params)


def go(address: str) -> None:
    """Make the browser open an address. A tick that is running would drop the parameters of st.switch_page."""
    beside = f'<i hidden data-address="{escape(address)}"></i>'
    st.html(beside + script("open"), unsafe_allow_javascript=True)


def instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}".replace(":00Z", "Z")


def choose(viewer: Viewer, text: Text, bar: DeltaGenerator, *, whole_days: bool = False) -> Selection | None:
    """Draw the choice of campaign and day into the bar and return what is chosen.

    Without anything to choose, say why and return None. `from` and `to` of the address are the selected time; with
    `whole_days` only the day of `from` counts.
    """
    choice = choose_campaign(viewer, text, bar)
    if choice is None:
        return None
    board, campaign_today, first = choice
    today = campaign_today.day
    zone = ZoneInfo(campaign_today.timezone)
    span = _span(zone)
    day = span[0].astimezone(zone).date() if span else _day(today)
    if span is None and day != today and not max(EARLIEST, first or EARLIEST) <= day <= today:
        with bar:
            _choose_day(None, first, today, text)
            st.caption(text.day(day), width="content")
        empty.nothing_known(text)
        return None
    if whole_days:  # coming back from the calls of an interval leads to the interval's day
        span = None
    campaign = readers.campaign(readers.published(), viewer, campaign_today.campaign, day)
    if campaign is None:
        return None
    with bar:
        _choose_day(min(campaign.day, today), first, today, text)
    t0, t1 = span or (campaign.t0, campaign.t1)
    return Selection(campaign, day == today, t0, t1, span is None, board)


def choose_campaign(viewer: Viewer, text: Text, bar: DeltaGenerator) -> tuple[Board, Campaign, date | None] | None:
    """Draw the choice of a campaign into the bar; return the board, the campaign today and the first day with data.

    Without anything to choose, say why and return None.
    """
    reader = readers.published()
    board = readers.board(reader, viewer, ends_of=())
    first = readers.first_day(reader, viewer)
    if board is None:
        empty.nothing_published(text)
        return None
    if not board.campaigns:
        empty.no_campaigns(text)
        return None
    campaigns = {live.campaign.campaign: live.campaign for live in board.campaigns}
    chosen = campaigns.get(st.query_params.get("campaign", next(iter(campaigns))))
    with bar:
        _draw_campaigns(campaigns, chosen, text)
    if chosen is None:
        empty.unknown_campaign(text)
        return None
    st.html(f'<h2 class="vigie-of">{escape(chosen.name)}</h2>')  # for a phone, where the bar comes after the figures
    return board, chosen, first


def remove_filter_button(name: str, label: str) -> None:
    """Draw a button that removes the filter `name` from the address, for a filter without a choice in the bar."""

    def remove() -> None:
        for parameter in ("page", name):
            st.query_params.pop(parameter, None)

    st.button(label, icon=":material/close:", on_click=remove, key=f"without_{name}")


def choose_minutes(usual: int, text: Text, *, label: LabelVisibility = "visible") -> int:
    """Draw the choice of the intervals' length [min] and return it: that of the address, or `usual`."""
    options = {str(minutes): f"{minutes}{NBSP}min" for minutes in readers.STEPS}
    words = text.gettext("Interval")
    return int(choices.segments("minutes", words, options, default=str(usual), label_visibility=label))


def choose_any_day(first: date | None, today: date, text: Text) -> date:
    """Draw the choice of a day for all campaigns and return it: that of the address, or today."""
    day = _day(today)
    day = day if max(EARLIEST, first or EARLIEST) <= day <= today else today
    _choose_day(day, first, today, text)
    return day


def _choose_day(day: date | None, first: date | None, today: date, text: Text) -> None:
    """Draw the choice of a day; nothing is chosen (None) when the address asks for a day without data."""
    _ = text.gettext

    def change() -> None:
        day = st.session_state["day_choice"]
        for name in ("from", "to", "page"):
            st.query_params.pop(name, None)
        if day == today:
            st.query_params.pop("day", None)
        elif day is not None:
            st.query_params["day"] = day.isoformat()

    st.session_state["day_choice"] = day
    st.date_input(
        _("Day"),
        min_value=min(day or today, first or EARLIEST),
        max_value=today,
        key="day_choice",
        on_change=change,
        format="DD/MM/YYYY",
        width=150,
    )


def _draw_campaigns(campaigns: dict[str, Campaign], chosen: Campaign | None, text: Text) -> None:
    _ = text.gettext

    def change() -> None:
        st.query_params["campaign"] = st.session_state["campaign_choice"]
        st.query_params.pop("page", None)

    st.session_state["campaign_choice"] = chosen.campaign if chosen else None
    st.selectbox(
        _("Campaign"),
        options=list(campaigns),
        format_func=lambda name: " · ".join(filter(None, (campaigns[name].name, campaigns[name].client))),
        placeholder=_("Choose a campaign"),
        key="campaign_choice",
        on_change=change,
        width=340,
    )


def _day(today: date) -> date:
    """Return the day of the address; today if it has none, or an invalid one."""
    try:
        return date.fromisoformat(st.query_params.get("day", ""))
    except ValueError:
        return today


def any_day(parameter: str) -> date | None:
    """Read a day of an address; None if it is invalid, or so early or late that it has no zone rules."""
    try:
        day = date.fromisoformat(parameter)
    except ValueError:
        return None
    return day if day >= EARLIEST and day.year < 2100 else None


def _span(zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Return `from` and `to` of the address; None if they are invalid. Without an offset they are in `zone`."""
    try:
        t0, t1 = (_instant(st.query_params.get(name, ""), zone) for name in ("from", "to"))
    except (ValueError, OverflowError):
        return None
    early = datetime(EARLIEST.year, 1, 2, tzinfo=UTC)
    return (t0, t1) if early <= t0 < t1 <= t0 + LONGEST and t1.year < 2100 else None


def _instant(parameter: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(parameter)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def time_of_day(parameter: str) -> tuple[int, int] | None:
    """Read "10:00-11:00" as minutes of the day; None if it is invalid, or not in whole quarters of an hour."""
    match = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", parameter)
    if match is None:
        return None
    hour, minute, to_hour, to_minute = map(int, match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    are_quarters = start % readers.QUARTER_MIN == end % readers.QUARTER_MIN == 0
    return (start, end) if start < end <= DAY_MIN and are_quarters else None


def wall(minute: int) -> str:
    """Write a minute of the day as the time on a wall clock: "10:00"; the end of the day is "24:00"."""
    return f"{minute // 60:02}:{minute % 60:02}"


def span_words(where: Selection, text: Text) -> str:
    """Write the selected time: the day in full, and the time of day if it is part of a day."""
    zone = where.campaign.timezone
    if where.is_whole_day:
        return text.day(where.campaign.day)
    end = where.t1.astimezone(ZoneInfo(zone))
    start = where.t0.astimezone(ZoneInfo(zone))
    if {start.time(), end.time()} == {time()}:
        return f"{text.day(start.date())} – {text.day(end.date() - timedelta(days=1))}"
    last_day = f"{text.day(end.date())}, " if end - start > timedelta(days=1) else ""
    return f"{text.day(start.date())}, {text.clock(where.t0, zone)}–{last_day}{text.clock(where.t1, zone)}"
