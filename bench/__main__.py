"""`python -m bench [NAME…] [--json FILE]`: a table of ratios and the machine; 0 whether goals are met or not."""

import argparse
import importlib
import json
import logging
import signal
import sys
from pathlib import Path

from bench import figures, machine

MEASURES = {
    "backlog": "half a million events to the published file, beside a bare poll loop and one INSERT an event",
    "delay": "event sent to event published, at 1,500 events a second",
    "viewers": "50 wallboard viewers at a 2-second refresh, beside one",
    "soak": "a television for 3 minutes, or as bench/soak.py says: whether its browser or the server grow",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures, side by side in one run: " + "; ".join(f"{n} ({what})" for n, what in MEASURES.items()),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which of them (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the plain numbers there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - MEASURES.keys():
        parser.error(f"no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    described = machine.describe()
    for what, value in described.items():
        _say(f"{what:12} {value}")
    found = {}
    for name in options.names or MEASURES:  # each told as soon as it is known: all together take minutes
        sys.stderr.write(f"{name}: {MEASURES[name]} …\n")
        found[name] = importlib.import_module(f"bench.{name}").measure()
        _say("")
        _say(figures.table(found[name].rows))
        for remark in found[name].remarks:
            _say(f"- {remark}")
    _say("\nmedian (least–most of the rounds); ratio: A to B")
    if options.json:
        numbers = {name: one.numbers for name, one in found.items()}
        options.json.write_text(json.dumps({"machine": described, **numbers}, indent=2) + "\n")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # as Ctrl-C, so that what runs is stopped and what lies about is removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    sys.exit(main(sys.argv[1:]))
