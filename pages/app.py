"""The frame of every page: who is looking, in which language, and where they can go."""

from pathlib import Path

import streamlit as st

from pages import _session

STYLE = Path(__file__).with_name("_style.css")
LOGO = Path(__file__).with_name("_logo.svg")

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext

st.set_page_config(
    page_title="Vigie",
    page_icon=str(LOGO),
    layout="wide",
    menu_items={"About": _("Vigie shows a call center's campaigns as they are this second.")},
)
st.logo(str(LOGO), size="medium")
st.html(STYLE)
pages = [
    st.Page("wallboard.py", title=_("Wallboard"), icon=":material/grid_view:", default=True),
    st.Page("campaign.py", title=_("Campaign"), icon=":material/bar_chart:"),
    st.Page("kpi.py", title=_("Figures"), icon=":material/function:"),
]
if viewer.role != "television":
    pages.append(st.Page("calls.py", title=_("Calls"), icon=":material/call:"))
if viewer.role in ("manager", "analyst"):
    pages.append(st.Page("feed.py", title=_("Feed"), icon=":material/sensors:"))
page = st.navigation({"": pages}, position="top")
with st.container(key="frame"):
    _session.language_switch(text)
page.run()
