"""Tallies: calls counted and added up by what the measures tell apart, before anything else is asked of them.

A day of 25,000 calls becomes a few hundred rows in one pass; the measures of this package are sums over them. A row
holds the calls of one key (campaign, queue, agent, …) that share `direction`, `outcome`, `formula` and `in_threshold`.
"""

BY = "direction, outcome, formula, in_threshold"

HANDLED = "handle_s IS NOT NULL"  # answered, and talk has ended
CONNECTED = "connected_at IS NOT NULL"


def _millionths(column: str, of: str = "sum") -> str:
    return f"{of}(CAST(round({column} * 1e6) AS BIGINT))"


# name: aggregate over rows of `calls`; times are whole microseconds, and targets whole millionths
TALLIES = {
    "calls": "count(*)",
    "asked": _millionths("target"),
    "waited": _millionths("wait_s"),
    "longest": _millionths("wait_s", "max"),
    "handled_calls": "count(handle_s)",
    "transfers": f"count(*) FILTER (WHERE {HANDLED} AND transferred)",
    "sold": f"count(*) FILTER (WHERE {HANDLED} AND sale)",
    "talked": f"{_millionths('talk_s')} FILTER (WHERE {HANDLED})",
    "held": f"{_millionths('hold_s')} FILTER (WHERE {HANDLED})",
    "wrapped": f"{_millionths('wrap_s')} FILTER (WHERE {HANDLED})",
    "picked_up": f"count(*) FILTER (WHERE {CONNECTED})",
    "people": f"count(*) FILTER (WHERE {CONNECTED} AND answered_by IS DISTINCT FROM 'machine')",
}

# what the measures ask of a row of tallies
FACTS = {
    "inbound": "direction IS DISTINCT FROM 'outbound'",
    "inside": "outcome = 'open' AND in_threshold IS TRUE",  # still waiting, and may still be answered in time
}
