"""A month or a day of a campaign against its contract: what a client is shown, takes home and signs."""

from collections.abc import Callable
from datetime import date, timedelta

import streamlit as st

from metrics import readers
from metrics.readers import Campaign, Period, Sla
from pages.accounts import visitor
from pages.accounts.access import pseudonym_key
from pages.contract import downloads, month_chart, month_tables, standing, statement
from pages.shared import empty, selection, ticks
from pages.shared.i18n import Text, plain

TICK_S = 30
"""A month moves slowly, and is asked anew no more often than once a minute."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def choose(campaign: Campaign) -> Period | None:
    """Draw the choice of a month, and of a day of it, and return what is chosen: this month unless the address says.

    None: what the address asks for is still to come, or lies before there was any call.
    """
    months = readers.months(readers.published(), viewer, campaign.campaign)
    day = _date(st.query_params.get("day", ""))
    month = _date(f"{st.query_params.get('month', '')}-01")
    first = (day or month or campaign.day).replace(day=1)
    this = campaign.day.replace(day=1)

    def change_month() -> None:
        for name in ("day", "month"):
            st.query_params.pop(name, None)
        if st.session_state["month_choice"] != this:
            st.query_params["month"] = f"{st.session_state['month_choice']:%Y-%m}"

    def change_day() -> None:
        for name in ("day", "month"):
            st.query_params.pop(name, None)
        if st.session_state["month_day_choice"]:
            st.query_params["day"] = st.session_state["month_day_choice"]
        elif first != this:
            st.query_params["month"] = f"{first:%Y-%m}"

    st.session_state["month_choice"] = first
    st.selectbox(
        _("Month"),
        options=sorted({*months, first}, reverse=True),
        format_func=text.month,
        key="month_choice",
        on_change=change_month,
        width=200,
    )
    may_be_known = selection.EARLIEST.year - 10 <= first.year and (day or first) <= campaign.day
    of_month = [day] if day else []
    if may_be_known:
        until = min(Period.month(first).until, campaign.day + timedelta(days=1))
        of_month = [first + timedelta(days=n) for n in range((until - first).days)]
    days = {"": _("the whole month")} | {one.isoformat(): text.short_day(one) for one in of_month}
    st.session_state["month_day_choice"] = day.isoformat() if day else ""
    st.selectbox(
        _("Day"),
        options=list(days),
        format_func=days.__getitem__,
        key="month_day_choice",
        on_change=change_day,
        width=180,
    )
    if not may_be_known:
        return None
    return Period.day(day) if day else Period.month(first)


def _date(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None


def known(campaign: str, period: Period, minutes: int) -> Sla | None:
    return readers.sla(readers.published(), viewer, campaign, period, pseudonym_key(), minutes=minutes)


@ticks.tick(TICK_S, says_so=text)
def against_contract(campaign: str, period: Period, minutes: int) -> None:
    """Draw everything, from one snapshot."""
    one = known(campaign, period, minutes)
    if one is None:
        empty.nothing_known(text)
        return
    st.html(standing.headline(one, text))
    st.subheader(_("Day by day") if period.is_month else _("The day by intervals"), anchor=False)
    st.plotly_chart(
        month_chart.figure(one, text),
        key=f"sla chart {st.context.theme.type}",  # drawn anew, its colours with it, when the theme changes
        theme="streamlit",
        config={"displayModeBar": False},
        alt=month_chart.alt(one, text),
    )
    st.subheader(_("The contract in force"), anchor=False)
    st.html(month_tables.contract(one, text))
    st.subheader(_("By queue"), anchor=False)
    st.html(month_tables.queues_table(one, text))
    if period.is_month:
        left, right = st.columns(2, gap="medium")
        with left:
            st.subheader(_("By day"), anchor=False)
            st.html(month_tables.calls_table(_("Day"), month_tables.days(one, text), one, text))
        with right:
            st.subheader(_("By time of day"), anchor=False)
            st.html(month_tables.calls_table(_("Interval"), month_tables.intervals(one, text), one, text))
        st.subheader(_("Agents"), anchor=False)
        st.html(month_tables.people(one, text))
        st.caption(month_tables.privacy(text))
    else:
        st.subheader(_("By interval"), anchor=False)
        st.html(month_tables.calls_table(_("Interval"), month_tables.intervals(one, text), one, text))
    said = [standing.conservation(one, text), standing.as_of(one, text)]
    st.caption(":material/balance: " + " · ".join(plain(words) for words in said))


def download_buttons(campaign: str, period: Period, minutes: int) -> None:
    """Draw the files, if there is anything to put in; each is made when wanted, of what this viewer may see then."""
    if known(campaign, period, minutes) is None:
        return

    def made(write: Callable[[Sla, Text], bytes]) -> Callable[[], bytes]:
        def make() -> bytes:
            one = known(campaign, period, minutes)
            return write(one, text) if one else b""

        return make

    said = f"{period.first:%Y-%m}" if period.is_month else period.first.isoformat()
    for name, write, suffix, mime in (
        ("PDF", statement.as_pdf, "pdf", "application/pdf"),
        ("Excel", downloads.as_excel, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("CSV", downloads.as_csv, "csv", "text/csv"),
    ):
        st.download_button(
            name,
            data=made(write),
            file_name=f"{campaign}-{said}.{suffix}",
            mime=mime,
            icon=":material/download:",
            on_click="ignore",
            key=f"download_{suffix}",
            help=_("Download as {format}").format(format=name),
        )


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    found = selection.choose_campaign(viewer, text, bar)
    if found is None:
        return
    _board, campaign, _first = found
    with bar:
        period = choose(campaign)
        minutes = selection.choose_minutes(readers.HOUR, text)
        if period is not None:
            download_buttons(campaign.campaign, period, minutes)
    if period is None:
        empty.nothing_known(text)
    else:
        against_contract(campaign.campaign, period, minutes)


page()
