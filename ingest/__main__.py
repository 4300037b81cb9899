"""`python -m ingest COMMAND`: each command is a module with `arguments(parser)` and `main(options)`."""

import importlib
import logging
import os
import sys

from ingest.cli import Parser
from ingest.errors import VigieError
from metrics import logs
from metrics.command_line import keep_from_others
from metrics.errors import MetricsError

COMMANDS = {
    "run": ("ingest.run", "consume call events, fold them into the store and publish"),
    "send": ("ingest.send", "send a file of NDJSON events to Kafka"),
    "source": ("ingest.sources", "turn a switch's logs and records into events"),
    "rebuild": ("ingest.rebuild", "rebuild the store and the published files from the archived events"),
    "forget": ("ingest.forget", "erase a caller or an agent from everything that is kept"),
    "retention": ("ingest.retention", "show what is older than campaigns.toml says, and would be deleted next"),
    "doctor": ("ingest.doctor", "check everything that a start needs, and say what to fix"),
    "broker": ("ingest.topic.broker", "run the embedded broker (memory only: demo and tests)"),
    "simulate": ("ingest.simulator", "simulate a floor: today so far, then live"),
    "demo": ("ingest.demo", "run the broker, a simulated floor, the consumer and the dashboard together"),
    "bank": ("ingest.bank", "send a month of real calls through the broker, and print its KPIs"),
}

#: glibc frees small memory blocks into short caches by thread, and what does not fit costs more. A statement allocates
#: tens of thousands of them, of some sixty sizes. A block in a cache serves its own size only: with longer caches than
#: this, memory grows for days. glibc reads this only when a program starts.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000"}
STATEMENTS_ALL_DAY = ("run", "rebuild")


def tune_allocator() -> None:
    """Start this program again, under the same process id, with ALLOCATOR. A value that somebody has set stays."""
    if sys.platform == "linux" and not ALLOCATOR.keys() & os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | ALLOCATOR)


def main(arguments: list[str]) -> int:
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # commands report themselves, once, that a broker is away
    parser = Parser(prog="python -m ingest", description="Kafka → store.duckdb → published/vigie.duckdb")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = arguments[0] if arguments else ""
    try:
        logs.write_to(sys.stderr)
        for name, (module, summary) in COMMANDS.items():
            command = commands.add_parser(name, help=summary, description=summary)
            if name == chosen:  # import only the chosen command: `broker` needs no DuckDB
                command.set_defaults(module=importlib.import_module(module))
                command.get_default("module").arguments(command)
        options = parser.parse_args(arguments)
        return int(options.module.main(options))
    except (VigieError, MetricsError) as error:
        sys.stderr.write(f"vigie: {error}\n")
        return error.exit_code
    except BrokenPipeError:  # as in `… | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    keep_from_others()
    if sys.argv[1:2] and sys.argv[1] in STATEMENTS_ALL_DAY:
        tune_allocator()
    sys.exit(main(sys.argv[1:]))
