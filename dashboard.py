"""What `streamlit run dashboard.py` serves: the frame in pages/app.py, and the routes that machines ask.

The frame is started from here, not directly: beside an entry script Streamlit serves every file of `pages/` as a
page of its own, without the frame, to whoever opens its address first.
"""

import os
import sys
import zoneinfo
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metrics import campaigns
from metrics.errors import ConfigurationError
from metrics.zones import check_zones

# the pinned tzdata, never this machine's rules: days must begin where the consumer says they do
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()


def refuse_other_zones(configuration: Path) -> None:
    """End the process, with the reason in one sentence, when a configured zone has other rules here.

    Without a configuration beside it, as on a machine that only shows what is published, there is nothing to compare.
    """
    if not configuration.exists():
        return
    try:
        check_zones(campaigns.load(configuration).zones)
    except ConfigurationError as error:
        sys.stderr.write(f"vigie: {error}\n")
        raise SystemExit(error.exit_code) from error


async def healthz(request: Request) -> Response:
    """Say that the server answers; how old the data is, the pages say."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


refuse_other_zones(Path(os.environ.get("VIGIE_CAMPAIGNS") or "campaigns.toml"))
app = st.App("pages/app.py", routes=[Route("/healthz", healthz)])

if __name__ == "__main__":
    app.run()
