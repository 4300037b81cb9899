"""Markup in names, reasons and records is text on every page, whoever wrote it and wherever it is drawn."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from metrics import clock
from pages.accounts.access import access
from tests.support.dashboard.drawing import HOSTILE, PAGE_NAMES, open_page
from tests.support.floor_file import FLOOR, alert, publish

ESCAPED = "&lt;script&gt;alert("
QUIET = {"analyst"}
"""Pages that show nothing of what switches or people wrote."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    path = tmp_path / "published" / "vigie.duckdb"
    now = clock.now()
    texts = {"queue": HOSTILE, "language": HOSTILE, "disposition": HOSTILE, "caller": HOSTILE, "agent": HOSTILE}
    calls: list[dict[str, Any]] = [{"campaign": "north", "call_id": f"c{n}", "wait_s": 9.0} | texts for n in range(12)]
    calls += [{"campaign": "north", "outcome": "open", "wait_s": 50.0, "queue": HOSTILE}]
    who = {"campaign": "north", "state": "paused", "reason": HOSTILE, "team": HOSTILE, "site": HOSTILE, "name": HOSTILE}
    publish(
        path,
        campaigns={campaign: (HOSTILE, HOSTILE, zone) for campaign, (_client, _name, zone) in FLOOR.items()},
        calls=calls,
        agents={HOSTILE: who | {"since": now - timedelta(minutes=9)}},
        letters=[{"reason": HOSTILE, "payload": HOSTILE}] * 2,
        sources={HOSTILE: now},
        alerts=[alert("waiting", now, rule=HOSTILE, campaign="north", severity="critical")],
        as_of=now,
    )
    access().audit.append("query", who=HOSTILE, address=HOSTILE, what=HOSTILE, at=now.timestamp())
    return path


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_markup_is_text_on_every_page(path: Path, page: str) -> None:
    parameters = {"campaign": "north"} if page not in ("feed", "alerts", "audit") else {}
    more = {"queue": HOSTILE, "agent": HOSTILE, "letter": HOSTILE, "call": "c1", "minutes": HOSTILE}
    for language, given in (("en", parameters | more), ("fr", parameters), ("es", parameters)):
        test = open_page(f"{page}.py", lang=language, **given)
        pieces = [element.proto.body for element in test.get("html")]
        assert not [piece for piece in pieces if "<script>alert(" in piece or "**bold**<" in piece]
        assert not [element for element in test.markdown if element.proto.allow_html]
        texts = [*test.markdown, *test.caption, *test.error, *test.warning, *test.info]
        assert not [element.value for element in texts if " :red[x]" in element.value]
        assert page in QUIET or ESCAPED in "".join(pieces)
