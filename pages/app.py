"""The frame of every page: who is looking, in which language, and where they can go."""

from pathlib import Path

import streamlit as st

from pages import _empty, _session, _television

STYLE = Path(__file__).with_name("_style.css")
LOGO = Path(__file__).with_name("_logo.svg")
KEEP = Path(__file__).with_name("_keep.js")
TIMINGS = Path(__file__).with_name("_timings.js")

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext

st.set_page_config(
    page_title="Vigie",
    page_icon=str(LOGO),
    layout="wide",
    menu_items={"About": _("Vigie shows a call centre’s campaigns as they are this second.")},
)
st.html(STYLE)
is_television = _television.is_television(viewer, st.query_params)
everybody = {"manager", "client", "analyst"}
pages = [  # whose a page is; to the others its address says that it is not theirs
    ("wallboard.py", _("Wallboard"), ":material/grid_view:", {"manager", "analyst", "television"}),
    ("campaign.py", _("Campaign"), ":material/bar_chart:", everybody),
    ("sla.py", _("Contract"), ":material/contract:", everybody),
    ("kpi.py", _("Figures"), ":material/function:", everybody),
    ("calls.py", _("Calls"), ":material/call:", everybody),
    ("agents.py", _("Agents"), ":material/support_agent:", {"manager", "analyst"}),
    ("analyst.py", _("Data"), ":material/database:", {"manager", "analyst"}),
    ("feed.py", _("Feed"), ":material/sensors:", {"manager", "analyst"}),
]


theirs = [file for file, _title, _icon, roles in pages if viewer.role in roles]


def home() -> None:
    """Lead from `/` to the first page of this viewer: the first page of one is a deep link for another."""
    st.switch_page(theirs[0], query_params=st.query_params.to_dict())


def not_for_you() -> None:
    _empty.not_for_you(text)


page = st.navigation(
    [
        st.Page(home, default=True, visibility="hidden"),
        *(
            st.Page(file, title=title, icon=icon)
            if file in theirs
            else st.Page(not_for_you, title=title, url_path=Path(file).stem, visibility="hidden")
            for file, title, icon, _roles in pages
        ),
    ],
    position="hidden" if is_television else "top",
)
if not is_television:
    st.logo(str(LOGO), size="medium")
    with st.container(key="frame", horizontal=True):
        _session.account(viewer, text)
        _session.language_switch(text)
with st.container(key="scripts"):
    for script in (TIMINGS,) if is_television else (TIMINGS, KEEP):
        st.html(f"<script>{script.read_text()}</script>", unsafe_allow_javascript=True)
page.run()
