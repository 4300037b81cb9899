"""A backlog: topic to published rows, beside the bare poll loop over the same topic and one INSERT an event."""

import time
from typing import Any

from bench import figures
from bench.children import ask
from bench.figures import Measured, Row
from ingest.topic.broker import running_broker

EVENTS = 500_000
INSERTS = 3_000
ROUNDS = 3
TOPIC = "bench-backlog"
GOAL_OF_BARE = 0.6
GOAL_OF_INSERTS = 40.0


def measure(rounds: int = ROUNDS, events: int = EVENTS) -> Measured:
    """`rounds` times, one after the other: whole way, bare loop, the loop with compiled records, inserts; each in a
    fresh process."""
    ways: dict[str, list[dict[str, Any]]] = {"whole": [], "bare": [], "compiled": [], "inserts": []}
    starts: list[float] = []
    with running_broker() as broker:
        filled = ask("bench.simulated", broker.bootstrap_servers, TOPIC, events)
        for _ in range(rounds):
            started = time.perf_counter()
            ways["whole"].append(ask("bench.ways", "whole", broker.bootstrap_servers, TOPIC))
            starts.append(time.perf_counter() - started - ways["whole"][-1]["took_s"])
            ways["bare"].append(ask("bench.ways", "bare", broker.bootstrap_servers, TOPIC))
            ways["compiled"].append(ask("bench.ways", "compiled", broker.bootstrap_servers, TOPIC))
            ways["inserts"].append(ask("bench.ways", "inserts", INSERTS))
    rates = {way: [one["events"] / one["took_s"] for one in found] for way, found in ways.items()}
    whole, bare, inserts = rates["whole"], rates["bare"], rates["inserts"]
    of_bare, of_inserts = figures.ratio(whole, bare), figures.ratio(whole, inserts)
    rows = [
        Row(
            f"{events:,} events, topic to published file (A), bare poll loop (B)",
            figures.spread(whole, unit="/s"),
            figures.spread(bare, unit="/s"),
            f"{of_bare:.2f} ({figures.least_most(figures.by_round(whole, bare), '.2f')})",
            f"≥ {GOAL_OF_BARE}",
            of_bare >= GOAL_OF_BARE,
        ),
        Row(
            "the same (A), one INSERT an event (B)",
            figures.spread(whole, unit="/s"),
            figures.spread(inserts, unit="/s"),
            f"{of_inserts:.0f} × ({figures.least_most(figures.by_round(whole, inserts), '.0f')})",
            f"≥ {GOAL_OF_INSERTS:.0f} ×",
            of_inserts >= GOAL_OF_INSERTS,
        ),
    ]
    last = ways["whole"][-1]
    remarks = [
        f"backlog: {rounds} rounds, A and B in turns, each in a fresh process on a fresh data directory; timed without"
        f" the process's start, imports and end (A: {figures.spread(starts, '.1f', ' s')}).",
        f"backlog: every A published {last['events']:,} events as {last['calls']:,} calls"
        f" ({last['dead_letters']} dead letters, lag {last['lag']}); processor time"
        f" A {figures.spread([one['cpu_s'] for one in ways['whole']], '.1f', ' s')},"
        f" B {figures.spread([one['cpu_s'] for one in ways['bare']], '.1f', ' s')}.",
        "backlog: B is kafka-python as it comes. A reads records by compiled code (ingest/topic/records.py):"
        f" its loop alone {figures.spread(rates['compiled'], unit='/s')},"
        f" {figures.ratio(rates['compiled'], bare):.1f} times B.",
        f"inserts: {INSERTS:,} events in each round, validated as A does and committed one by one; no Kafka in it.",
    ]
    whole_ones = {(one["events"], one["calls"], one["lag"]) for one in ways["whole"]}
    if whole_ones != {(filled["events"], last["calls"], 0)}:
        remarks.append(f"backlog: WRONG: {filled['events']:,} events were sent, published were {whole_ones}.")
    return Measured(rows, remarks, {"filled": filled, "rounds": ways, "of_bare": of_bare, "of_inserts": of_inserts})
