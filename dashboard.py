"""What `streamlit run dashboard.py` serves: the frame in pages/app.py behind the gate, and the routes beside it.

The frame is started from here, not directly: beside an entry script Streamlit serves every file of `pages/` as a
page of its own, without the frame, to whoever opens its address first.
"""

import sys
import zoneinfo

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metrics import clock, logs
from metrics.errors import MetricsError
from pages.accounts import start
from pages.accounts.access import access, configuration_path
from pages.accounts.gate import Gate
from pages.accounts.sign_in import SignIn
from pages.operations import prometheus

# the pinned tzdata, never this machine's rules: days must begin where the consumer says they do
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()


async def healthz(request: Request) -> Response:
    """Say that the server answers; how old the data is, the pages say."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


def checked_base_path() -> str:
    """Return the path that everything is served under, or end the process with the reason in one sentence."""
    try:
        logs.write_to(sys.stderr, "vigie")
        clock.now()  # refuses a VIGIE_CLOCK that is no instant
        start.refuse_other_zones(configuration_path())
        start.refuse_open_doors(access())
    except MetricsError as error:
        sys.stderr.write(f"vigie: {error}\n")
        raise SystemExit(error.exit_code) from error
    return start.base_path()


base = checked_base_path()
# written out here, because `streamlit run` looks for `st.App(` in this file before it runs it
app = st.App(
    "pages/app.py",
    routes=[Route("/healthz", healthz), Route("/metrics", prometheus.metrics), *SignIn(access(), base).routes()],
    middleware=[Middleware(Gate, access=access(), base=base)],
)

if __name__ == "__main__":
    app.run()
