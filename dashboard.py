"""What `streamlit run dashboard.py` serves: the frame in pages/app.py, and the routes that machines ask.

The frame is started from here, not directly: beside an entry script Streamlit serves every file of `pages/` as a
page of its own, without the frame, to whoever opens its address first.
"""

import zoneinfo

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

# the pinned tzdata, never this machine's rules: days must begin where the consumer says they do
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()


async def healthz(request: Request) -> Response:
    """Say that the server answers; how old the data is, the pages say."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


app = st.App("pages/app.py", routes=[Route("/healthz", healthz)])

if __name__ == "__main__":
    app.run()
