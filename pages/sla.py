"""A month or a day of a campaign against its contract: what a client sees, downloads and signs."""

from collections.abc import Callable
from datetime import date, timedelta

import streamlit as st

from metrics import readers
from metrics.readers import Campaign, Period, Sla
from pages.accounts import visitor
from pages.accounts.access import pseudonym_key
from pages.contract import downloads, first_contact, month_chart, month_tables, standing, statement
from pages.shared import empty, selection, ticks
from pages.shared.i18n import Text, plain

TICK_S = 30
"""A month changes slowly, and is queried at most once a minute."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def choose(campaign: Campaign) -> Period | None:
    """Draw the choice of a month and of a day in it, and return the chosen period, by default the current month.

    None: the address names a period in the future, or one so early that there cannot be calls.
    """
    months = readers.months(readers.published(), viewer, campaign.campaign)
    day = _date(st.query_params.get("day", ""))
    month = _date(f"{st.query_params.get('month', '')}-01")
    first = (day or month or campaign.day).replace(day=1)
    this_month = campaign.day.replace(day=1)

    def change_month() -> None:
        for name in ("day", "month"):
            st.query_params.pop(name, None)
        if st.session_state["month_choice"] != this_month:
            st.query_params["month"] = f"{st.session_state['month_choice']:%Y-%m}"

    def change_day() -> None:
        for name in ("day", "month"):
            st.query_params.pop(name, None)
        if st.session_state["month_day_choice"]:
            st.query_params["day"] = st.session_state["month_day_choice"]
        elif first != this_month:
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
    may_have_calls = selection.EARLIEST.year - 10 <= first.year and (day or first) <= campaign.day
    days_of_month = [day] if day else []
    if may_have_calls:
        until = min(Period.month(first).until, campaign.day + timedelta(days=1))
        days_of_month = [first + timedelta(days=n) for n in range((until - first).days)]
    days = {"": _("the whole month")} | {option.isoformat(): text.short_day(option) for option in days_of_month}
    st.session_state["month_day_choice"] = day.isoformat() if day else ""
    st.selectbox(
        _("Day"),
        options=list(days),
        format_func=days.__getitem__,
        key="month_day_choice",
        on_change=change_day,
        width=180,
    )
    if not may_have_calls:
        return None
    return Period.day(day) if day else Period.month(first)


def _date(parameter: str) -> date | None:
    try:
        return date.fromisoformat(parameter)
    except ValueError:
        return None


def read_sla(campaign: str, period: Period, minutes: int) -> Sla | None:
    return readers.sla(readers.published(), viewer, campaign, period, pseudonym_key(), minutes=minutes)


@ticks.tick(TICK_S, says_so=text)
def against_contract(campaign: str, period: Period, minutes: int) -> None:
    """Draw everything, from one snapshot."""
    sla = read_sla(campaign, period, minutes)
    if sla is None:
        empty.nothing_known(text)
        return
    st.html(standing.headline(sla, text))
    st.subheader(_("Day by day") if period.is_month else _("The day by intervals"), anchor=False)
    st.plotly_chart(
        month_chart.figure(sla, text),
        key=f"sla chart {st.context.theme.type}",  # a new chart when the theme changes, for its colours
        theme="streamlit",
        config={"displayModeBar": False},
        alt=month_chart.alt(sla, text),
    )
    st.subheader(_("The contract in force"), anchor=False)
    st.html(month_tables.contract(sla, text))
    st.subheader(_("By queue"), anchor=False)
    st.html(month_tables.queues_table(sla, text))
    if period.is_month:
        left, right = st.columns(2, gap="medium")
        with left:
            st.subheader(_("By day"), anchor=False)
            st.html(month_tables.calls_table(_("Day"), month_tables.days(sla, text), sla, text))
        with right:
            st.subheader(_("By time of day"), anchor=False)
            st.html(month_tables.calls_table(_("Interval"), month_tables.intervals(sla, text), sla, text))
        st.subheader(_("Agents"), anchor=False)
        st.html(month_tables.people(sla, text))
        st.caption(month_tables.privacy(text))
        if sla.first_contact:
            st.subheader(first_contact.heading(text), anchor=False)
            st.html(first_contact.paragraph(sla, text))
    else:
        st.subheader(_("By interval"), anchor=False)
        st.html(month_tables.calls_table(_("Interval"), month_tables.intervals(sla, text), sla, text))
    parts = [standing.conservation(sla, text), standing.as_of(sla, text)]
    st.caption(":material/balance: " + " · ".join(plain(part) for part in parts))


def download_buttons(campaign: str, period: Period, minutes: int) -> None:
    """Draw the download buttons, if the period has data.

    A file is written when it is downloaded, from what this viewer may see at that moment.
    """
    if read_sla(campaign, period, minutes) is None:
        return

    def content_of(write: Callable[[Sla, Text], bytes]) -> Callable[[], bytes]:
        def content() -> bytes:
            sla = read_sla(campaign, period, minutes)
            return write(sla, text) if sla else b""

        return content

    period_name = f"{period.first:%Y-%m}" if period.is_month else period.first.isoformat()
    for name, write, suffix, mime in (
        ("PDF", statement.as_pdf, "pdf", "application/pdf"),
        ("Excel", downloads.as_excel, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("CSV", downloads.as_csv, "csv", "text/csv"),
    ):
        file_name = f"{campaign}-{period_name}.{suffix}"
        st.download_button(
            name,
            data=visitor.exported(viewer, file_name, content_of(write)),
            file_name=file_name,
            mime=mime,
            icon=":material/download:",
            on_click="ignore",
            key=f"download_{suffix}",
            help=_("Download as {format}").format(format=name),
        )


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    choice = selection.choose_campaign(viewer, text, bar)
    if choice is None:
        return
    _board, campaign, _first = choice
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
