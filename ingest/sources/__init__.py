"""`python -m ingest source KIND`: turn a switch's logs and records into events of the contract.

Each kind is a module with `arguments(parser)` and `main(options)`. docs/sources.md has the events of each input.
"""

import argparse
import signal

from ingest.cli import Parser
from ingest.errors import UsageError, VigieError
from ingest.sources import ami, asterisk, call_list, connect, freeswitch, genesys, threecx, twilio

KINDS = {
    "asterisk": (asterisk, "Asterisk's queue_log (FreePBX, Issabel, VICIdial, Wazo)"),
    "3cx": (threecx, "the CDR output of 3CX"),
    "ami": (ami, "Asterisk's manager interface, live, beside its queue_log"),
    "connect": (connect, "Amazon Connect's contact records and agent events"),
    "genesys": (genesys, "Genesys Cloud's conversation details and users' notifications"),
    "twilio": (twilio, "Twilio TaskRouter's events"),
    "freeswitch": (freeswitch, "FreeSWITCH's mod_callcenter events and JSON CDRs"),
    "map": (call_list, "any list of calls, CSV or JSON, by a mapping of its columns"),
}


def arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(metavar="KIND", required=True)
    for name, (module, summary) in KINDS.items():
        kind = kinds.add_parser(name, help=summary, description=summary)
        module.arguments(kind)
        kind.set_defaults(kind=module)


def main(options: argparse.Namespace) -> int:
    if not options.source:
        raise UsageError("--source is empty; name this switch, such as asterisk-casa-1.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(options.kind.main(options))
    except KeyboardInterrupt:
        raise VigieError("Stopped before the end; read it again, since an event counts once.") from None
