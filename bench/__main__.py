"""`python -m bench [NAME…] [--json FILE]`: prints machine and ratios. Exits with 0 even if a goal fails."""

import argparse
import importlib
import json
import logging
import signal
import sys
from pathlib import Path

from bench import figures, machine

MEASURES = {
    "backlog": "half a million events to the published file, compared with a bare poll loop and one INSERT per event",
    "delay": "from event sent to event published, at 1,500 events per second",
    "steady": "the same with a quarter of an hour of events stored before, compared with none",
    "alerting": "from the event that fires an alert to its message, at 1,500 events per second",
    "sums": "figures of two weeks from kept sums, compared with the same figures from calls and agents' states",
    "year": "figures, a publish, a wall and a start with a year of calls behind",
    "viewers": "300 wallboard viewers at a 2-second refresh, compared with one",
    "month": "30 days at speed with 5 viewers: whether memory, handles and files grow, and whether figures are exact",
    "publishes": "3,000 publishes of a store that stays as it is: whether the consumer's memory grows",
    "soak": "a television for 3 minutes (see bench/soak.py for longer): whether memory of browser or server grows",
}
ON_REQUEST = {"steady", "year", "month", "publishes"}
"""Benchmarks that run only when they are named: they take up to half an hour, and `year` gigabytes of the disk."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Benchmarks: " + "; ".join(f"{name} ({summary})" for name, summary in MEASURES.items()),
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"the benchmarks to run (default: all but {', '.join(sorted(ON_REQUEST))})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to this file")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - MEASURES.keys():
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    properties = machine.describe()
    for name, value in properties.items():
        _print(f"{name:12} {value}")
    results = {}
    names = options.names or [name for name in MEASURES if name not in ON_REQUEST]
    for name in names:  # print each result at once, because all together take minutes
        sys.stderr.write(f"{name}: {MEASURES[name]} …\n")
        results[name] = importlib.import_module(f"bench.{name}").measure()
        _print("")
        _print(figures.table(results[name].rows))
        for remark in results[name].remarks:
            _print(f"- {remark}")
    _print("\nmedian (lowest–highest of the rounds); ratio: A to B")
    if options.json:
        numbers = {name: result.numbers for name, result in results.items()}
        options.json.write_text(json.dumps({"machine": properties, **numbers}, indent=2) + "\n")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # handle SIGTERM like Ctrl-C, so that child processes are stopped and temporary files removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    sys.exit(main(sys.argv[1:]))
