"""The calls behind a figure, a bar or a day: the newest first, by pages, and all of them as a file."""

from collections.abc import Mapping
from datetime import timedelta

import streamlit as st

from metrics import readers
from metrics.readers import Asked, CallList
from pages.accounts import visitor
from pages.figure import call_list
from pages.shared import names, selection
from pages.shared.i18n import plain

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext
LONGEST_DAY = timedelta(hours=25)
HITS = {"hit": True, "miss": False}
WEEKDAYS = {str(n): n for n in range(7)}


def asked() -> Asked:
    """Return which calls the address asks for; what it cannot mean is left out."""
    outcome, kpi = st.query_params.get("outcome"), st.query_params.get("kpi")
    return Asked(
        outcome if outcome in readers.OUTCOMES else None,
        kpi if kpi in readers.BEHIND and readers.may_show(viewer, kpi) else None,
        HITS.get(st.query_params.get("counts", "")),
        st.query_params.get("queue"),
        st.query_params.get("agent") if viewer.names_agents else None,
        st.query_params.get("missed_by") if viewer.names_agents else None,
        selection.time_of_day(st.query_params.get("time", "")),
        WEEKDAYS.get(st.query_params.get("weekday", "")),
    )


def agents_of_calls(where: selection.Selection) -> Mapping[str, str] | None:
    return readers.agents_of_calls(readers.published(), viewer, where.campaign.campaign, where.t0, where.t1)


def choose_agent(which: Asked, known: Mapping[str, str]) -> None:
    """Draw the choice of who answered."""

    def change() -> None:
        agent = st.session_state["agent_choice"]
        for name in ("page", "agent", "missed_by"):
            st.query_params.pop(name, None)
        if agent:
            st.query_params["agent"] = agent

    named = {**known, which.agent: known.get(which.agent, which.agent)} if which.agent else known
    st.session_state["agent_choice"] = which.agent or ""
    st.selectbox(
        _("Agent"),
        options=["", *named],
        format_func=lambda agent: named[agent] if agent else _("every agent"),
        key="agent_choice",
        on_change=change,
        width=220,
    )


def choose_outcome(which: Asked) -> None:
    """Draw the choice of an outcome."""

    def change() -> None:
        outcome = st.session_state["outcome_choice"]
        for name in ("page", "outcome"):
            st.query_params.pop(name, None)
        if outcome:
            st.query_params["outcome"] = outcome

    st.session_state["outcome_choice"] = which.outcome or ""
    st.selectbox(
        _("Outcome"),
        options=["", *readers.OUTCOMES],
        format_func=lambda name: names.outcome(name, text) if name else _("every outcome"),
        key="outcome_choice",
        on_change=change,
        width=240,
    )


def choose_behind(which: Asked) -> None:
    """Draw the choice of a figure, of which the calls count in the denominator, and whether they were in time."""

    def change() -> None:
        kpi = st.session_state["behind_choice"]
        for name in ("page", "kpi", "counts"):
            st.query_params.pop(name, None)
        name, _colon, counts = kpi.partition(":")
        if name:
            st.query_params["kpi"] = name
        if counts:
            st.query_params["counts"] = counts

    def said(option: str) -> str:
        name, _colon, counts = option.partition(":")
        words = {"hit": _("in time"), "miss": _("not in time")}
        if not name:
            return _("every call")
        return names.figure(name, text) + (f" · {words[counts]}" if counts else "")

    options = ["", *(kpi for kpi in readers.BEHIND if readers.may_show(viewer, kpi))]
    at = options.index("service_level") + 1
    options[at:at] = ["service_level:hit", "service_level:miss"]
    hit = "" if which.hit is None else ":hit" if which.hit else ":miss"
    chosen = f"service_level{hit}" if hit else which.kpi or ""
    st.session_state["behind_choice"] = chosen
    st.selectbox(
        _("Counts for"),
        options=options,
        format_func=said,
        key="behind_choice",
        on_change=change,
        width=280,
    )


def whole_day(where: selection.Selection) -> None:
    """Draw the way from a part of a day to all of it, from several days to the first of them."""

    def change() -> None:
        for name in ("from", "to", "page", "day"):
            st.query_params.pop(name, None)
        if not where.today:
            st.query_params["day"] = where.campaign.day.isoformat()

    is_of_one = where.t1 - where.t0 <= LONGEST_DAY
    words = _("The whole day") if is_of_one else _("Only {day}").format(day=text.day(where.campaign.day))
    st.button(words, icon=":material/close:", on_click=change)


def page_asked() -> int:
    try:
        return max(1, min(10_000, int(st.query_params.get("page", "1"))))
    except ValueError:
        return 1


def listed(where: selection.Selection, which: Asked, page: int | None) -> CallList | None:
    return readers.calls(readers.published(), viewer, where.campaign.campaign, where.t0, where.t1, which, page=page)


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = selection.choose(viewer, text, bar)
    if where is None:
        return
    which = asked()
    with bar:
        choose_outcome(which)
        choose_behind(which)
        known = agents_of_calls(where)
        if known is not None:
            choose_agent(which, known)
        if known is not None and which.missed_by:
            name = plain(known.get(which.missed_by, which.missed_by))
            selection.leave_out("missed_by", _("Not picked up by {agent}").format(agent=name))
        if which.queue:
            selection.leave_out("queue", _("Queue {queue}").format(queue=plain(which.queue)))
        if which.time:
            time = "–".join(map(selection.wall, which.time))
            words = time if where.t1 - where.t0 <= LONGEST_DAY else _("{time} of each day").format(time=time)
            selection.leave_out("time", words)
        if which.weekday is not None:
            selection.leave_out("weekday", _("Only {day}").format(day=text.weekday(which.weekday)))
        if not where.whole:
            whole_day(where)
    number = page_asked()
    found = listed(where, which, number)
    if found is not None and not found.calls and number > 1:  # a page that is no longer there
        number = 1
        found = listed(where, which, number)
    if found is None:
        return
    zone = where.campaign.timezone
    count = text.ngettext("{n} call", "{n} calls", found.total).format(n=text.number(found.total))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{count}** · {selection.span_words(where, text)} · {plain(zone)}", width="content")
        if found.total:
            st.download_button(
                _("Download as CSV"),
                data=lambda: sheet(where, which, zone),
                file_name=f"{where.campaign.campaign}-{where.campaign.day}.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
    if not viewer.sees_work:
        st.caption(f":material/lock: {names.privacy(text)}")
    if not found.total:
        st.caption(_("No call of this kind."))
        return
    judged = which.kpi == "service_level" or which.hit is not None
    dated = (where.t1 - where.t0).total_seconds() > 90_001
    st.html(call_list.calls(found, zone, text, judged=judged, worked=viewer.sees_work, dated=dated))
    pages = -(-found.total // readers.PER_PAGE)
    if pages > 1:
        turn(pages, number)


def turn(pages: int, number: int) -> None:
    """Draw the pages."""

    number = min(number, pages)
    key = f"page_{number}_of_{pages}"  # of its own, so that the pages of another list do not begin where this one was

    def change() -> None:
        chosen = st.session_state[key]
        st.query_params.pop("page", None)
        if chosen > 1:
            st.query_params["page"] = str(chosen)

    with st.container(horizontal_alignment="center"):
        st.pagination(pages, default=number, key=key, on_change=change)


def sheet(where: selection.Selection, which: Asked, zone: str) -> bytes:
    """Return all calls of the list as CSV; asked only when somebody wants it."""
    everything = listed(where, which, None)
    return call_list.as_csv(everything.calls if everything else (), zone, worked=viewer.sees_work)


page()
