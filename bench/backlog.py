"""A backlog, from topic to published rows, compared with a bare poll loop and with one INSERT per event."""

import time
from typing import Any

from bench import figures
from bench.children import result_of
from bench.figures import Measured, Row
from ingest.topic.broker import running_broker

EVENTS = 500_000
INSERTS = 3_000
ROUNDS = 3
TOPIC = "bench-backlog"
GOAL_OF_BARE = 0.6
GOAL_OF_INSERTS = 40.0


def measure(rounds: int = ROUNDS, events: int = EVENTS) -> Measured:
    """Run each of these `rounds` times in turn, each in a fresh process.

    They are the entire path to the published file, the bare loop, the loop with compiled records, and the inserts.
    """
    runs: dict[str, list[dict[str, Any]]] = {"publish": [], "bare": [], "compiled": [], "inserts": []}
    overheads: list[float] = []
    with running_broker() as broker:
        filled = result_of("bench.simulated", broker.bootstrap_servers, TOPIC, events)
        for _ in range(rounds):
            started = time.perf_counter()
            runs["publish"].append(result_of("bench.ways", "publish", broker.bootstrap_servers, TOPIC))
            overheads.append(time.perf_counter() - started - runs["publish"][-1]["took_s"])
            runs["bare"].append(result_of("bench.ways", "bare", broker.bootstrap_servers, TOPIC))
            runs["compiled"].append(result_of("bench.ways", "compiled", broker.bootstrap_servers, TOPIC))
            runs["inserts"].append(result_of("bench.ways", "inserts", INSERTS))
    rates = {way: [run["events"] / run["took_s"] for run in results] for way, results in runs.items()}
    publish, bare, inserts = rates["publish"], rates["bare"], rates["inserts"]
    of_bare, of_inserts = figures.ratio(publish, bare), figures.ratio(publish, inserts)
    rows = [
        Row(
            f"{events:,} events, topic to published file (A), bare poll loop (B)",
            figures.spread(publish, unit="/s"),
            figures.spread(bare, unit="/s"),
            f"{of_bare:.2f} ({figures.least_most(figures.by_round(publish, bare), '.2f')})",
            f"≥ {GOAL_OF_BARE}",
            of_bare >= GOAL_OF_BARE,
        ),
        Row(
            "the same (A), one INSERT per event (B)",
            figures.spread(publish, unit="/s"),
            figures.spread(inserts, unit="/s"),
            f"{of_inserts:.0f} × ({figures.least_most(figures.by_round(publish, inserts), '.0f')})",
            f"≥ {GOAL_OF_INSERTS:.0f} ×",
            of_inserts >= GOAL_OF_INSERTS,
        ),
    ]
    last = runs["publish"][-1]
    remarks = [
        f"backlog: {rounds} rounds, A and B in turn, each in a fresh process with a fresh data directory; times exclude"
        f" start, imports and end of the process (A: {figures.spread(overheads, '.1f', ' s')}).",
        f"backlog: every A published {last['events']:,} events as {last['calls']:,} calls"
        f" ({last['dead_letters']} dead letters, lag {last['lag']}); processor time"
        f" A {figures.spread([run['cpu_s'] for run in runs['publish']], '.1f', ' s')},"
        f" B {figures.spread([run['cpu_s'] for run in runs['bare']], '.1f', ' s')}.",
        "backlog: B is kafka-python unchanged. A reads records with compiled code (ingest/topic/records.py):"
        f" its poll loop alone {figures.spread(rates['compiled'], unit='/s')},"
        f" {figures.ratio(rates['compiled'], bare):.1f} times B.",
        f"inserts: {INSERTS:,} events per round, validated like A's and committed one by one, without Kafka.",
    ]
    published = {(run["events"], run["calls"], run["lag"]) for run in runs["publish"]}
    if published != {(filled["events"], last["calls"], 0)}:
        remarks.append(f"backlog: WRONG: {filled['events']:,} events were sent, but published were {published}.")
    return Measured(rows, remarks, {"filled": filled, "rounds": runs, "of_bare": of_bare, "of_inserts": of_inserts})
