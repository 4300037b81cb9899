"""`python -m ingest COMMAND`: each command is a module with `arguments(parser)` and `main(options)`."""

import importlib
import logging
import os
import sys

from ingest.cli import Parser
from ingest.errors import VigieError
from metrics import logs
from metrics.errors import MetricsError

COMMANDS = {
    "run": ("ingest.run", "consume call events, fold them into the store and publish"),
    "send": ("ingest.send", "send a file of NDJSON events to Kafka"),
    "source": ("ingest.sources", "turn what a switch writes into events"),
    "rebuild": ("ingest.rebuild", "make the store and the published files again from the archived events"),
    "doctor": ("ingest.doctor", "try what a start needs, and say of each what to do"),
    "broker": ("ingest.topic.broker", "run the embedded broker (memory only: demo and tests)"),
    "simulate": ("ingest.simulator", "a floor at work: today's shift so far, then live"),
    "demo": ("ingest.demo", "broker, floor, consumer and dashboard together"),
    "bank": ("ingest.bank", "a month of real calls through the broker, and its KPIs"),
}


def main(arguments: list[str]) -> int:
    parser = Parser(prog="python -m ingest", description="Kafka → store.duckdb → published/vigie.duckdb")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = arguments[0] if arguments else ""
    try:
        logs.write_to(sys.stderr)
        for name, (module, summary) in COMMANDS.items():
            command = commands.add_parser(name, help=summary, description=summary)
            if name == chosen:  # import only what runs: `broker` needs no DuckDB
                command.set_defaults(module=importlib.import_module(module))
                command.get_default("module").arguments(command)
        options = parser.parse_args(arguments)
        return int(options.module.main(options))
    except (VigieError, MetricsError) as error:
        sys.stderr.write(f"vigie: {error}\n")
        return error.exit_code
    except BrokenPipeError:  # as in `… | head`: whoever read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # a broker that is away is said once, by who needs it
    sys.exit(main(sys.argv[1:]))
