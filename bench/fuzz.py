"""Records as a broken or hostile source may send them, among good ones; the same for the same seed."""

import json
import random
from collections.abc import Iterator
from typing import Any

HOURS_MS = 3_600_000
TIMESTAMPS_MS = (-1, 0, 1, 253_370_764_800_000, 2**62)
"""Of records that lie about when they were sent: none, 1970, the year 9999, and one that no calendar has."""


def records(
    seed: int, count: int, now_ms: int, *, good: float = 0.5, large: float = 0.0001
) -> Iterator[tuple[int, bytes | None]]:
    """Yield timestamp [ms] and value of `count` records. Of them `good` are events and `large` have 1 MB [share]."""
    dice = random.Random(seed)
    for offset in range(count):
        which = dice.random()
        at_ms = now_ms - dice.randrange(HOURS_MS)
        if which < good:
            yield now_ms, json.dumps(event(dice, offset, at_ms)).encode()
        elif which < good + large:
            yield now_ms, json.dumps(event(dice, offset, at_ms) | {"queue": "q" * 1_000_000}).encode()
        else:
            timestamp = now_ms if dice.random() < 0.99 else dice.choice(TIMESTAMPS_MS)
            yield timestamp, broken(dice, offset, at_ms)


def event(dice: random.Random, n: int, at_ms: int) -> dict[str, Any]:
    """A call.queued, answered or ended; `n` makes its event_id."""
    kind = dice.choice(("call.queued", "call.answered", "call.ended"))
    fields = {"campaign": "sav", "queue": dice.choice(("main", "vip"))} if kind == "call.queued" else {}
    ts = f"2026-03-10T{11 - at_ms % 3:02}:{at_ms // 60_000 % 60:02}:{at_ms // 1000 % 60:02}Z"
    source = dice.choice(("pbx-1", "pbx-2", "dialer"))
    return {"event_id": f"e{n}", "type": kind, "ts": ts, "call_id": f"c{n // 8}", "source": source, **fields}


def broken(dice: random.Random, n: int, at_ms: int) -> bytes | None:
    """A value that breaks the contract, or bytes that are no JSON, or several lines of which some may be good."""
    line = event(dice, n, at_ms)
    text = json.dumps(line)
    depth = dice.randrange(1, 3_000)
    return dice.choice(
        (
            lambda: json.dumps(
                line | {dice.choice(list(line)): dice.choice((7, None, [], {}, 1e300, True, ""))}
            ).encode(),
            lambda: text.replace('"call_id"', '"x": ' + "[" * depth + "]" * depth + ', "call_id"').encode(),
            lambda: text.replace("2026", dice.choice(("0001", "9999", "2026-02-30", "x"))).encode(),
            lambda: (text[:-1] + f', "{dice.choice(list(line))}": "again"}}').encode(),
            lambda: text.encode()[: dice.randrange(len(text))] + bytes((dice.randrange(128, 256),)),
            lambda: dice.randbytes(dice.randrange(200)),
            lambda: text.encode().replace(b"{", dice.choice((b"{{", b'{"', b"[", b"")), 1),
            lambda: f"{text}\n{{}}\n{text.replace('e', 'f', 1)}\nnothing".encode(),
            lambda: json.dumps(line | {"source": f"made-up-{dice.randrange(10**6)}", "type": "call.flown"}).encode(),
            lambda: b'"' * dice.randrange(5_000),
            lambda: None,
            lambda: b"",
        )
    )()
