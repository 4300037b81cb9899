"""`python -m ingest forget`: erase a caller or an agent from everything that Vigie keeps, for ever.

The person is noted by keyed hash in the folder of the keys, outside the data directory, and then leaves the store and
all files. Whatever comes again from before that (a replay of the topic, a rebuild, a restored backup) is read without
them. What they do later is kept: a new call of an erased caller is a call.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ingest import rebuild
from ingest.cli import Parser
from ingest.errors import StoreError, UsageError
from ingest.events import keys
from ingest.events.persons import Persons, known_by
from ingest.store.erasing import Erasure, erase, note_done
from ingest.store.holding import hold
from ingest.store.store import Store
from metrics import clock
from metrics.audit import trail
from metrics.configuration.campaigns import Configuration, load
from metrics.configuration.zones import check_zones


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.keys_option()
    parser.add_argument("--caller", action="append", default=[], metavar="NUMBER", help="a caller's or callee's number")
    parser.add_argument("--agent", action="append", default=[], metavar="ID", help="an agent's id")
    parser.epilog = (
        "Stop the consumer first; the dashboard can stay up. Give a number in each way in which it may be written: with"
        " the country's code, and as a national number. docs/privacy.md says what is erased."
    )


def main(options: argparse.Namespace) -> int:
    if not options.caller and not options.agent:
        raise UsageError("Nobody is named; give --caller NUMBER or --agent ID.")
    if not (options.data_dir / "store.duckdb").exists():
        raise StoreError(f"{options.data_dir} has no store; name the data directory with --data-dir.")
    configuration = load(options.campaigns)
    check_zones(configuration.zones)
    began = time.monotonic()
    folder = keys.folder_of(options.data_dir, options.keys_dir)
    with hold(options.data_dir):
        audit = trail.of_this_machine(options.data_dir)
        with audit.transaction(clock.now_s()) as add:  # what stays only if the persons are noted
            for person in note(folder, options.caller, options.agent):
                add("erasure", trail.operator(), trail.HERE, person)
        done = erase_at_rest(options.data_dir, configuration, known_by(folder))
    for erasure in done:
        sys.stdout.write(
            f"{erasure.kind} {erasure.person}: {erasure.calls:,} calls, {erasure.files:,} files written again\n"
        )
    sys.stdout.write(
        f"Erased in {time.monotonic() - began:.1f} s. Backups, the topic and the switches still have them until you or"
        " their retention delete them; what is read from them again is read without these persons.\n"
    )
    return 0


def note(folder: Path, callers: Sequence[str], agents: Sequence[str]) -> list[str]:
    """Note these persons in the list of the erased, and return kind and hash of each. Raises UsageError."""
    known, at = keys.load(folder), clock.now()
    numbers = {number: keys.normalised(number) for number in callers}
    for number, plain in numbers.items():
        if not plain:
            raise UsageError(f"--caller {number!r} has fewer than three digits; nobody was erased.")
    noted = []
    for plain in numbers.values():
        keys.note_erased(folder, "caller", hashes := known.all_hashes("caller", plain), at)
        noted.append(f"caller · {hashes[-1]}")
    for agent in agents:
        pseudonym = f"erased-{secrets.token_hex(4)}"
        keys.note_erased(folder, "agent", hashes := known.all_hashes("agent", agent), at, pseudonym)
        noted.append(f"agent · {hashes[-1]} · {pseudonym}")
    return noted


def erase_at_rest(data_dir: Path, configuration: Configuration, persons: Persons) -> list[Erasure]:
    """Erase from a data directory who is noted and still there, and publish without them. Raises StoreError.

    The files that had them are deleted at once: a reader that has an older snapshot open has to open the new one.
    """
    rebuild.bring_up_to_date(data_dir, configuration, persons)
    store = Store(data_dir / "store.duckdb")
    try:
        done = erase(store, persons)
    finally:
        store.close()
    if done:
        Store.compact(data_dir / "store.duckdb")
        rebuild.publish(data_dir, configuration, keep_replaced_s=0.0)
        note_done(data_dir / "store.duckdb", done)  # only now: until all is done, the next start does it again
    return done
