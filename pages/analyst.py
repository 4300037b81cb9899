"""The data itself, for analysts: query it in SQL, connect to it with other tools, read its schema and glossary."""

import streamlit as st

from metrics import CALENDAR, readers
from metrics.published.examples import EXAMPLES
from pages.accounts import visitor
from pages.operations import analysis
from pages.shared import empty, ticks
from pages.shared.i18n import plain

POLL_S = 0.5

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def calendar() -> None:
    """Offer this DuckDB's time zone rules as a file, for the reader's own DuckDB."""
    explanation = _(
        "Morocco has been at UTC since 20 September 2026, and DuckDB 1.5 does not know that. For AT TIME ZONE to be "
        "right in your own DuckDB, put this file into a folder, and set the environment variable "
        "ICU_TIMEZONE_FILES_DIR to that folder before DuckDB starts. calls.day and local_days are right without it."
    )
    st.caption(explanation, width=760)
    name, mime = CALENDAR.name, "application/octet-stream"
    st.download_button(name, CALENDAR.read_bytes, name, mime, icon=":material/download:", on_click="ignore")


def start() -> None:
    """Run the SQL in the box. A query that this person started before is interrupted."""
    visitor.note(viewer, "query", st.session_state["sql"])
    st.session_state["query"] = readers.query(readers.published(), viewer, st.session_state["sql"])


def take_example() -> None:
    name = st.session_state["example_choice"]
    if name in EXAMPLES:
        st.session_state["sql"] = EXAMPLES[name]


def sql_box() -> None:
    """Draw the box for SQL. Its text is kept in the session, not in the address: it may be confidential."""
    titles = analysis.titles(text)
    st.session_state.setdefault("sql", EXAMPLES[next(iter(titles))])
    st.selectbox(
        _("Examples"),
        options=list(titles),
        format_func=titles.__getitem__,
        index=None,
        placeholder=_("Choose a question"),
        key="example_choice",
        on_change=take_example,
        width=640,
    )
    with st.form("ask", border=False):
        st.text_area(
            "SQL",
            key="sql",
            height=240,
            max_chars=readers.LONGEST_QUERY,
            persist_state="session",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.form_submit_button(_("Run"), icon=":material/play_arrow:", type="primary", on_click=start)
            limits = _("Ctrl+Enter runs it. One read-only statement; up to {rows} rows, {seconds} seconds.")
            st.caption(
                limits.format(rows=text.number(readers.ROWS), seconds=text.number(readers.SECONDS)), width="content"
            )


@ticks.tick(POLL_S)
def running(query: readers.Query) -> None:
    """Draw how long a query has been running, and the button that interrupts it. Rerun the page when it ends."""
    if query.outcome is not None:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        elapsed = _("Running for {seconds} s").format(seconds=text.number(query.running_s))
        st.markdown(f":material/hourglass_top: {elapsed}", width="content")
        st.button(_("Interrupt"), icon=":material/stop:", on_click=query.interrupt)


def outcome(query: readers.Query, answer: readers.Answer) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(analysis.summary(answer, text), width="content")
        files = (
            ("CSV", "vigie.csv", "text/csv", answer.csv),
            ("Parquet", "vigie.parquet", "application/vnd.apache.parquet", answer.parquet),
            (_("The query"), "vigie.sql", "application/sql", query.sql.encode),
        )
        for label, name, mime, content in files:
            data = visitor.exported(viewer, f"{name} · {query.sql}", content)
            st.download_button(label, data, name, mime, icon=":material/download:", on_click="ignore", key=name)
    table, chart = st.tabs([_("Table"), _("Chart")], key="result_tabs", on_change="rerun")
    with table:
        alt = _("The rows of the answer")
        decimals = analysis.decimals(answer.table)
        st.dataframe(answer.table, hide_index=True, column_config=decimals, placeholder="NULL", alt=alt)
    if chart.open:
        with chart:
            draw(answer)


def draw(answer: readers.Answer) -> None:
    """Draw the answer as a chart of the chosen columns."""
    possible = analysis.axes(answer.table)
    if possible is None:
        st.caption(_("A chart needs two columns, one of them a number, and a row."))
        return
    kinds = analysis.kinds(text)
    names = " ".join(answer.table.column_names)  # the choices are kept for answers with the same columns
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox(
            _("Horizontal axis"), possible.across, possible.across.index(possible.x), key=f"x {names}", width=220
        )
        upright = [name for name in possible.upright if name != x]
        y = st.selectbox(
            _("Vertical axis"),
            upright,
            upright.index(possible.y) if possible.y in upright else 0,
            key=f"y {names}",
            width=220,
        )
        split = [name for name in possible.split if name not in (x, y)]
        none = _("nothing")
        by = st.selectbox(
            _("Split by"),
            [None, *split],
            1 + split.index(possible.by) if possible.by in split else 0,
            format_func=lambda name: none if name is None else name,
            key=f"by {names}",
            width=220,
        )
        kind = st.segmented_control(
            _("Chart type"),
            list(kinds),
            format_func=kinds.__getitem__,
            default=possible.kind(x),
            required=True,
            key=f"kind {x} {names}",
        )
    if y is None:
        return
    alt = _("{y} by {x}").format(y=y, x=x)
    figure = analysis.figure(answer.table, x, y, by, kind, text)
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, alt=alt)


def query_tab() -> None:
    sql_box()
    query = st.session_state.get("query")
    if query is None:
        return
    with st.container(key="answer"):
        if query.outcome is None:
            running(query)
        elif isinstance(query.outcome, readers.Answer):
            outcome(query, query.outcome)
        else:
            st.warning(plain(analysis.trouble(query.outcome, text)), icon=":material/info:")
            if query.outcome.reason == "said":
                st.code(query.outcome.words, language=None, wrap_lines=True)


def connect_tab() -> None:
    """Draw how to open the published file with other tools."""
    explanation = _(
        "Any number of tools with DuckDB 1.5 or newer can open the file while Vigie writes new ones. What you have open"
        " stays as it was; open the path again to see new data. The file is on the machine that runs Vigie; if you are"
        " on another machine, ask for its folder to be shared read-only."
    )
    st.markdown(explanation, width=760)
    for title, code in analysis.connections(readers.published().path, text):
        st.subheader(title, anchor=False)
        st.code(code, language=None, wrap_lines=True)  # Streamlit's syntax colours are too faint on white
    st.caption(
        _("Times are in UTC. Phone numbers are masked. Agents are named: treat what you export as personal data.")
    )
    calendar()


def page() -> None:
    relations = readers.schema(readers.published(), viewer)
    if relations is None:
        empty.nothing_published(text)
        return
    may_query = readers.may_query(viewer)
    names = [_("Schema"), _("Glossary")]
    tabs = st.tabs(["SQL", _("Connect"), *names] if may_query else names)
    if may_query:
        with tabs[0]:
            query_tab()
        with tabs[1]:
            connect_tab()
    else:
        reason = _("SQL cannot be limited to some campaigns or sites, so only people who see all of them may use it.")
        st.info(reason, icon=":material/lock:")
    source = _("These are the comments in the published file. Your own tool shows them too.")
    with tabs[-2]:
        st.caption(source)
        st.html(analysis.schema(relations, text))
    with tabs[-1]:
        st.caption(source)
        st.html(analysis.glossary(text))


page()
