"""The frame of every page: the viewer's account, the language, and the navigation."""

from pathlib import Path

import streamlit as st

from pages.accounts import visitor
from pages.alerting import bell
from pages.assets import ASSETS, script
from pages.shared import empty, ticks
from pages.wall import pause, television

STYLE, LOGO = ASSETS / "style.css", ASSETS / "logo.svg"

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext

st.set_page_config(
    page_title="Vigie",
    page_icon=str(LOGO),
    layout="wide",
    menu_items={"About": _("Vigie shows a call centre’s campaigns as they are this second.")},
)
st.html(STYLE)
is_television = television.is_television(viewer, st.query_params)
everybody = {"manager", "client", "analyst"}
pages = [  # file, title, icon and roles; a viewer with another role is told that the page is not for them
    ("wallboard.py", _("Wallboard"), ":material/grid_view:", {"manager", "analyst", "television"}),
    ("campaign.py", _("Campaign"), ":material/bar_chart:", everybody),
    ("summary.py", _("Summary"), ":material/table_rows:", everybody),
    ("sla.py", _("Contract"), ":material/contract:", everybody),
    ("kpi.py", _("Figures"), ":material/function:", everybody),
    ("calls.py", _("Calls"), ":material/call:", everybody),
    ("call.py", _("Call"), ":material/timeline:", everybody),
    ("agents.py", _("Agents"), ":material/support_agent:", {"manager", "analyst"}),
    ("alerts.py", _("Alerts"), ":material/notifications:", everybody),
    ("analyst.py", _("Data"), ":material/database:", {"manager", "analyst"}),
    ("feed.py", _("Feed"), ":material/sensors:", {"manager", "analyst"}),
    ("audit.py", _("Audit"), ":material/policy:", {"manager"} if visitor.may_audit(viewer) else set()),
]


without_entry = {"call.py"}  # lists of calls lead to it
allowed = [file for file, _title, _icon, roles in pages if viewer.role in roles]


def home() -> None:
    """Open this viewer's first page, which depends on the role.

    The page is not Streamlit's default page itself: that has no address but `/`, and links name the page.
    """
    st.switch_page(allowed[0], query_params=st.query_params.to_dict())


def not_for_you() -> None:
    empty.not_for_you(text)


page = st.navigation(
    [
        st.Page(home, default=True, visibility="hidden"),
        *(
            st.Page(file, title=title, icon=icon, visibility="hidden" if file in without_entry else "visible")
            if file in allowed
            else st.Page(not_for_you, title=title, url_path=Path(file).stem, visibility="hidden")
            for file, title, icon, _roles in pages
        ),
    ],
    position="hidden" if is_television else "top",
)
if not is_television:
    st.logo(str(LOGO), size="medium")
    with st.container(key="frame", horizontal=True):
        bell.bell(viewer, text)
        if page.url_path == "wallboard" and "wallboard.py" in allowed:
            pause.button(viewer, text)
            on_television = _("Show it on a television, with sound when an alert fires")
            st.page_link(
                "wallboard.py", label=_("Television"), icon=":material/tv:", help=on_television,
                query_params={"tv": "1", "sound": "1"},
            )  # fmt: skip
        visitor.account(viewer, text)
        visitor.language_switch(text)
with st.container(key="scripts"):
    lost = _("No contact with the server for {age}. This page is as it was then.")
    st.html(f'<p class="vigie-away" role="status">{lost.format(age="<span class=ago></span>")}</p>')
    if not is_television:
        more = _("More")
        st.html(f'<p class="vigie-more" hidden>{more}</p>')
    for name in ("contact", "timings") if is_television else ("contact", "timings", "frame", "keep"):
        st.html(script(name), unsafe_allow_javascript=True)
with ticks.page(text):
    page.run()
