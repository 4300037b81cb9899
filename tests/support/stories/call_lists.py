"""Call lists for tests: a mapping of many columns, lists of one call, and what a list makes."""

from pathlib import Path
from typing import Any

from ingest.events import contract
from ingest.sources.call_list import events, mapping
from ingest.sources.call_list.calls import CallList
from ingest.sources.call_list.rows import rows as read_rows
from ingest.sources.events import Rejected, encoded

PLAIN = """
[file]
delimiter = ";"
timezone = "Europe/Paris"
[columns]
call_id = "id"
queue = "queue"
queued_at = "at"
answered_at = "answered"
ended_at = "ended"
outcome = "outcome"
wait_s = "wait"
talk_s = "talk"
hold_s = "hold"
wrap_s = "wrap"
agent = "agent"
direction = "direction"
score = "score"
disposition = "what"
amount = "amount"
revision = "revision"
caller = "caller"
[fixed]
currency = "EUR"
"""
HEADER = [
    *("id", "queue", "at", "answered", "ended", "outcome", "wait", "talk", "hold", "wrap", "agent", "direction"),
    *("score", "what", "amount", "revision", "caller"),
]


def loaded(place: Path, text: str) -> mapping.Mapping:
    place.mkdir(parents=True, exist_ok=True)
    (place / "mapping.toml").write_text(text)
    return mapping.load(place / "mapping.toml")


def with_setting(*settings: str) -> str:
    """Return PLAIN with more lines under [file]."""
    return PLAIN.replace("[file]", "\n".join(("[file]", *settings)))


def events_of(data: bytes, mapped: mapping.Mapping, revision: int = 1) -> list[Any]:
    """Return what a list makes: events, each of which passes the contract, and rejections."""
    results = [result for result, _ in events(CallList("list", mapped, revision), read_rows([data], mapped))]
    for result in results:
        if not isinstance(result, Rejected):
            contract.decode(encoded(result, "list", "")[1])
    return results


def row(**cells: str) -> bytes:
    """Return a list of one call, with these cells over defaults."""
    cells = {"id": "1", "queue": "q", "at": "2026-03-10 09:00:00"} | cells
    return (";".join(HEADER) + "\n" + ";".join(cells.get(name, "") for name in HEADER) + "\n").encode()
