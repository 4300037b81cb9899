"""The calls behind a figure, a bar or a day: in the chosen order, page by page, and all of them as a file."""

from collections.abc import Mapping
from datetime import timedelta

import streamlit as st

from metrics import readers
from metrics.readers import CallFilters, CallList
from pages.accounts import visitor
from pages.figure import call_list
from pages.shared import choices, names, selection
from pages.shared.i18n import plain

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext
LONGEST_DAY = timedelta(hours=25)
HITS = {"hit": True, "miss": False}
WEEKDAYS = {str(n): n for n in range(7)}


def filters_of_address() -> CallFilters:
    """Return the filters in the address. Invalid ones are ignored."""
    outcome, kpi = st.query_params.get("outcome"), st.query_params.get("kpi")
    return CallFilters(
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


def choose_agent(filters: CallFilters, agents: Mapping[str, str]) -> None:
    """Draw the choice of the agent who answered. `agents` maps an agent to a name."""
    options = {"": _("every agent"), **agents}
    if filters.agent:
        options.setdefault(filters.agent, filters.agent)
    choices.menu("agent", _("Agent"), options, width=220, without=("page", "missed_by"))


def choose_outcome() -> None:
    """Draw the choice of an outcome."""
    options = {"": _("every outcome")} | {name: names.outcome(name, text) for name in readers.OUTCOMES}
    choices.menu("outcome", _("Outcome"), options, width=240, without=("page",))


def choose_queue(filters: CallFilters, queues: tuple[str, ...]) -> None:
    """Draw the choice of a queue."""
    chosen = (filters.queue,) if filters.queue else ()
    options = {"": _("every queue")} | {queue: queue for queue in (*queues, *chosen)}
    choices.menu("queue", _("Queue"), options, width=200, without=("page",))


def choose_order() -> str:
    """Draw the choice of the list's order and return it: that of the address, or the newest call first."""
    labels = {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "wait": _("Longest wait first"),
        "handling": _("Longest handling first"),
    }
    allowed = {order: labels[order] for order in readers.orders(viewer)}
    return choices.menu("order", _("Order"), allowed, width=230, without=("page",))


def choose_kpi(filters: CallFilters) -> None:
    """Draw the choice of a figure, whose denominator the calls are in; for the service level also in time or not."""

    def change() -> None:
        kpi = st.session_state["behind_choice"]
        for name in ("page", "kpi", "counts"):
            st.query_params.pop(name, None)
        name, _colon, counts = kpi.partition(":")
        if name:
            st.query_params["kpi"] = name
        if counts:
            st.query_params["counts"] = counts

    def label(option: str) -> str:
        name, _colon, counts = option.partition(":")
        labels = {"hit": _("in time"), "miss": _("not in time")}
        if not name:
            return _("every call")
        return names.figure(name, text) + (f" · {labels[counts]}" if counts else "")

    options = ["", *(kpi for kpi in readers.BEHIND if readers.may_show(viewer, kpi))]
    at = options.index("service_level") + 1
    options[at:at] = ["service_level:hit", "service_level:miss"]
    hit = "" if filters.hit is None else ":hit" if filters.hit else ":miss"
    chosen = f"service_level{hit}" if hit else filters.kpi or ""
    st.session_state["behind_choice"] = chosen
    st.selectbox(
        _("Counts for"),
        options=options,
        format_func=label,
        key="behind_choice",
        on_change=change,
        width=280,
    )


def whole_day_button(where: selection.Selection) -> None:
    """Draw a button that widens a part of a day to the whole day, and narrows several days to the first."""

    def change() -> None:
        for name in ("from", "to", "page", "day"):
            st.query_params.pop(name, None)
        if not where.is_today:
            st.query_params["day"] = where.campaign.day.isoformat()

    is_within_a_day = where.t1 - where.t0 <= LONGEST_DAY
    label = _("The whole day") if is_within_a_day else _("Only {day}").format(day=text.day(where.campaign.day))
    st.button(label, icon=":material/close:", on_click=change)


def page_number() -> int:
    try:
        return max(1, min(10_000, int(st.query_params.get("page", "1"))))
    except ValueError:
        return 1


def read_calls(where: selection.Selection, filters: CallFilters, order: str, page: int | None) -> CallList | None:
    campaign = where.campaign.campaign
    return readers.calls(readers.published(), viewer, campaign, where.t0, where.t1, filters, order=order, page=page)


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = selection.choose(viewer, text, bar)
    if where is None:
        return
    filters = filters_of_address()
    with bar:
        choose_outcome()
        queues = readers.queues_of_calls(readers.published(), viewer, where.campaign.campaign, where.t0, where.t1)
        if filters.queue or len(queues) > 1:
            choose_queue(filters, queues)
        choose_kpi(filters)
        agents = agents_of_calls(where)
        if agents is not None:
            choose_agent(filters, agents)
        if agents is not None and filters.missed_by:
            name = plain(agents.get(filters.missed_by, filters.missed_by))
            selection.remove_filter_button("missed_by", _("Not picked up by {agent}").format(agent=name))
        if filters.time:
            time = "–".join(map(selection.wall, filters.time))
            label = time if where.t1 - where.t0 <= LONGEST_DAY else _("{time} of each day").format(time=time)
            selection.remove_filter_button("time", label)
        if filters.weekday is not None:
            selection.remove_filter_button("weekday", _("Only {day}").format(day=text.weekday(filters.weekday)))
        order = choose_order()
        if not where.is_whole_day:
            whole_day_button(where)
    number = page_number()
    call_page = read_calls(where, filters, order, number)
    if call_page is not None and not call_page.calls and number > 1:  # the list has become shorter
        number = 1
        call_page = read_calls(where, filters, order, number)
    if call_page is None:
        return
    zone = where.campaign.timezone
    count = text.ngettext("{n} call", "{n} calls", call_page.total).format(n=text.number(call_page.total))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{count}** · {selection.span_words(where, text)} · {plain(zone)}", width="content")
        if call_page.total:
            span = f"{selection.instant(where.t0)} – {selection.instant(where.t1)}"
            exported = f"{where.campaign.campaign} · {span} · CSV"
            st.download_button(
                _("Download as CSV"),
                data=visitor.exported(viewer, exported, lambda: sheet(where, filters, order, zone)),
                file_name=f"{where.campaign.campaign}-{where.campaign.day}.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
    if not viewer.sees_work:
        st.caption(f":material/lock: {names.privacy(text)}")
    if not call_page.total:
        st.caption(_("No call of this kind."))
        return
    judged = filters.kpi == "service_level" or filters.hit is not None
    dated = (where.t1 - where.t0).total_seconds() > 90_001
    st.html(call_list.calls(call_page, zone, text, judged=judged, worked=viewer.sees_work, dated=dated))
    pages = -(-call_page.total // readers.PER_PAGE)
    if pages > 1:
        choose_page(pages, number)


def choose_page(pages: int, number: int) -> None:
    """Draw the choice of a page of the list."""

    number = min(number, pages)
    key = f"page_{number}_of_{pages}"  # so that another list does not open at this list's page

    def change() -> None:
        chosen = st.session_state[key]
        st.query_params.pop("page", None)
        if chosen > 1:
            st.query_params["page"] = str(chosen)

    with st.container(horizontal_alignment="center"):
        st.pagination(pages, default=number, key=key, on_change=change)


def sheet(where: selection.Selection, filters: CallFilters, order: str, zone: str) -> bytes:
    """Return all calls of the list as CSV. They are read only when somebody downloads them."""
    every_call = read_calls(where, filters, order, None)
    return call_list.as_csv(every_call.calls if every_call else (), zone, worked=viewer.sees_work)


page()
