"""Which campaign, day and stretch of time a page is about: read from its address, chosen in one bar, linked to."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.utils import LabelVisibility

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import LONGEST, Board, Campaign
from pages.shared import empty
from pages.shared.i18n import NBSP, Text

EARLIEST = date(2000, 1, 1)
DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Selection:
    """A campaign and `[t0, t1)`: a local day of it when `whole`, the day of `as_of` when `today`."""

    campaign: Campaign
    today: bool
    t0: datetime
    t1: datetime
    whole: bool
    board: Board

    def params(self, **more: str | None) -> dict[str, str]:
        """Return the parameters of an address that is about the same: without None, and in a stable order."""
        asked: dict[str, str | None] = {"campaign": self.campaign.campaign}
        if not self.whole:
            asked |= {"from": instant(self.t0), "to": instant(self.t1)}
        elif not self.today:
            asked["day"] = self.campaign.day.isoformat()
        return {name: value for name, value in (asked | more).items() if value is not None}


def href(page: str, params: dict[str, str]) -> str:
    """Return the address of a page, relative to the others."""
    if "lang" in st.query_params:
        params = params | {"lang": st.query_params["lang"]}
    return f"{page}?{urlencode(params)}"


def go(address: str) -> None:
    """Let the browser open an address: a tick under way would take the parameters of st.switch_page away."""
    st.html(f"<script>location.assign({json.dumps(address)})</script>", unsafe_allow_javascript=True)


def instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}".replace(":00Z", "Z")


def choose(viewer: Viewer, text: Text, bar: DeltaGenerator, *, stretch: bool = True) -> Selection | None:
    """Draw campaign and day into the bar and return what is chosen; None, and why, when there is nothing to choose.

    `stretch`: the page can be about a part of a day, `from` and `to` of its address; else it is about that day.
    """
    known = choose_campaign(viewer, text, bar)
    if known is None:
        return None
    board, found, first = known
    span = _span(ZoneInfo(found.timezone))
    day = span[0].astimezone(ZoneInfo(found.timezone)).date() if span else _day(found.day)
    if span is None and day != found.day and not max(EARLIEST, first or EARLIEST) <= day <= found.day:
        with bar:
            _choose_day(None, first, found.day, text)
            st.caption(text.day(day), width="content")
        empty.nothing_known(text)
        return None
    if not stretch:  # whoever comes back from the calls of an interval is on its day again
        span = None
    chosen = readers.campaign(readers.published(), viewer, found.campaign, day)
    if chosen is None:
        return None
    with bar:
        _choose_day(min(chosen.day, found.day), first, found.day, text)
    t0, t1 = span or (chosen.t0, chosen.t1)
    return Selection(chosen, day == found.day, t0, t1, span is None, board)


def choose_campaign(viewer: Viewer, text: Text, bar: DeltaGenerator) -> tuple[Board, Campaign, date | None] | None:
    """Draw the campaign into the bar and return it, today, with the board and the first day of which anything is known.

    None, and why, when there is nothing to choose.
    """
    reader = readers.published()
    board = readers.board(reader, viewer)
    first = readers.first_day(reader, viewer)
    if board is None:
        empty.nothing_published(text)
        return None
    if not board.campaigns:
        empty.no_campaigns(text)
        return None
    known = {one.campaign.campaign: one.campaign for one in board.campaigns}
    found = known.get(st.query_params.get("campaign", next(iter(known))))
    with bar:
        _draw_campaigns(known, found, text)
    if found is None:
        empty.unknown_campaign(text)
        return None
    return board, found, first


def leave_out(name: str, words: str) -> None:
    """Draw the way back from what the address narrows by `name`, and no choice in the bar says."""

    def change() -> None:
        for one in ("page", name):
            st.query_params.pop(one, None)

    st.button(words, icon=":material/close:", on_click=change, key=f"without_{name}")


def choose_minutes(usual: int, text: Text, *, label: LabelVisibility = "visible") -> int:
    """Draw the choice of the intervals' length and return it: `usual` unless the address says another."""
    asked = st.query_params.get("minutes", "")
    minutes = int(asked) if asked in map(str, readers.STEPS) else usual

    def change() -> None:
        chosen = st.session_state["minutes_choice"] or usual
        st.query_params.pop("minutes", None)
        if chosen != usual:
            st.query_params["minutes"] = str(chosen)

    st.session_state["minutes_choice"] = minutes
    st.segmented_control(
        text.gettext("Interval"),
        options=list(readers.STEPS),
        format_func=lambda minutes: f"{minutes}{NBSP}min",
        key="minutes_choice",
        on_change=change,
        label_visibility=label,
    )
    return minutes


def _choose_day(day: date | None, first: date | None, today: date, text: Text) -> None:
    """Draw the choice of a day; without one when the address asks for a day of which nothing is known."""
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


def _draw_campaigns(known: dict[str, Campaign], found: Campaign | None, text: Text) -> None:
    _ = text.gettext

    def change() -> None:
        st.query_params["campaign"] = st.session_state["campaign_choice"]
        st.query_params.pop("page", None)

    st.session_state["campaign_choice"] = found.campaign if found else None
    st.selectbox(
        _("Campaign"),
        options=list(known),
        format_func=lambda campaign: " · ".join(filter(None, (known[campaign].name, known[campaign].client))),
        placeholder=_("Choose a campaign"),
        key="campaign_choice",
        on_change=change,
        width=340,
    )


def _day(today: date) -> date:
    """Return the day that the address asks for, else, and when what it says is no day, today."""
    try:
        return date.fromisoformat(st.query_params.get("day", ""))
    except ValueError:
        return today


def _span(zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Return `from` and `to` of the address, without an offset in the campaign's time; None when they make no sense."""
    try:
        t0, t1 = (_instant(st.query_params.get(name, ""), zone) for name in ("from", "to"))
    except (ValueError, OverflowError):
        return None
    early = datetime(EARLIEST.year, 1, 2, tzinfo=UTC)
    return (t0, t1) if early <= t0 < t1 <= t0 + LONGEST and t1.year < 2100 else None


def _instant(said: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(said)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def time_of_day(said: str) -> tuple[int, int] | None:
    """Read a time of any day, "10:00-11:00", as minutes; None when it is none, or not of whole quarters of an hour."""
    found = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", said)
    if found is None:
        return None
    hour, minute, to_hour, to_minute = map(int, found.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    are_quarters = start % readers.QUARTER_MIN == end % readers.QUARTER_MIN == 0
    return (start, end) if start < end <= DAY_MIN and are_quarters else None


def wall(minute: int) -> str:
    """Write a minute of the day as the clock on the wall does: "10:00", and "24:00" at its end."""
    return f"{minute // 60:02}:{minute % 60:02}"


def span_words(where: Selection, text: Text) -> str:
    """Say the stretch of time: its day in full, and the time of day when it is a part of one."""
    zone = where.campaign.timezone
    if where.whole:
        return text.day(where.campaign.day)
    end = where.t1.astimezone(ZoneInfo(zone))
    start = where.t0.astimezone(ZoneInfo(zone))
    last = end if end - start > timedelta(days=1) else start
    if {start.time(), end.time()} == {time()}:
        return f"{text.day(start.date())} – {text.day(end.date() - timedelta(days=1))}"
    words = f"{text.day(start.date())}, {text.clock(where.t0, zone)}–"
    return words + (f"{text.day(last.date())}, " if last.date() != start.date() else "") + text.clock(where.t1, zone)
