"""What `streamlit run dashboard.py` serves: the pages of pages/app.py behind the sign-in gate, and a few other routes.

Do not run pages/app.py directly. Streamlit would then serve every file of a `pages/` folder beside it as a page of its
own, without the frame, to whoever opens its address first.
"""

import sys
import zoneinfo

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metrics import clock, logs
from metrics.command_line import keep_from_others
from metrics.errors import MetricsError
from pages.accounts import start, visitor
from pages.accounts.access import access, configuration_path
from pages.accounts.gate import Gate
from pages.accounts.headers import Headers
from pages.accounts.sign_in import SignIn
from pages.operations import prometheus
from pages.operations.head import Head
from pages.shared import empty

# use the pinned tzdata and not this machine's zone rules: a day must begin when it does for the consumer
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()


async def healthz(request: Request) -> Response:
    """Answer "ok" as long as the server runs. The age of the data is on the pages."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


def say_so(error: Exception) -> bool:
    """Tell the reader, in their language, that their page failed. Streamlit has logged why."""
    empty.failed(visitor.current_text())
    return True


def checked_base_path() -> str:
    """Return the path under which everything is served. If the dashboard must not start, exit and say why."""
    try:
        keep_from_others()
        logs.write_to(sys.stderr, "vigie")
        clock.now()  # raises if VIGIE_CLOCK is not an instant
        start.refuse_other_zones(configuration_path())
        start.refuse_open_doors(access())
        start.refuse_anybodys_word()
    except MetricsError as error:
        sys.stderr.write(f"vigie: {error}\n")
        raise SystemExit(error.exit_code) from error
    return start.base_path()


base = checked_base_path()
# must be a literal call: `streamlit run` looks for `st.App(` in this file before it runs it
app = st.App(
    "pages/app.py",
    routes=[
        Route("/healthz", healthz),
        Route("/metrics", prometheus.endpoint(access().viewer_of_token)),
        *SignIn(access(), base).routes(),
    ],
    on_script_error=say_so,
    middleware=[Middleware(Headers), Middleware(Gate, access=access(), base=base), Middleware(Head, base=base)],
)

if __name__ == "__main__":
    app.run()
