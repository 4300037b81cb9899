"""Accounts for tests: sign in anybody with the rights of a Viewer, by the cookie that the gate and Streamlit read."""

import subprocess
import sys
from itertools import count
from pathlib import Path

from metrics import clock
from metrics.authorisation.viewer import Viewer
from pages.accounts.access import access
from pages.accounts.sessions import COOKIE
from pages.accounts.store import Account
from tests.support.processes import ROOT, WITHIN_S, environment

_numbers = count(1)


def session_of(viewer: Viewer) -> str:
    """Return the session cookie of a new account with this viewer's rights."""
    limits = [tuple(sorted(limit or ())) for limit in (viewer.campaigns, viewer.sites)]
    account = Account(f"{viewer.role}-{next(_numbers)}", viewer.role, "no password fits", (), *limits)
    here = access()
    here.accounts.change(lambda all: all.update({account.name: account}))
    return here.sessions.cookie(here.sessions.begin(account, clock.now_s()))


def user_of(viewer: Viewer) -> dict[str, str]:
    """Return `st.user` of somebody who is signed in with this viewer's rights."""
    return {COOKIE: session_of(viewer)}


PASSWORD = "correct-horse-battery"


def accounts(place: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `python -m pages.accounts`."""
    variables = {"VIGIE_DATA_DIR": str(place), "VIGIE_CAMPAIGNS": str(place / "campaigns.toml")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pages.accounts", *arguments],
        input=typed,
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(**variables),
        timeout=WITHIN_S,
        check=False,
    )
