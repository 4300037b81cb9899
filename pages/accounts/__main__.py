"""`python -m pages.accounts`: the people who may sign in on this machine, and the televisions that may show the wall.

Passwords and tokens are never command-line arguments, which everybody on the machine could read. A password is typed
at a prompt, or piped in as one line. A token is made here and printed once.

Every change is in the audit trail, which `audit` prints and checks.
"""

import argparse
import getpass
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime

import msgspec

from metrics import clock
from metrics.audit import trail
from metrics.audit.trail import access_dir
from metrics.authorisation.viewer import ROLES, Role
from metrics.command_line import Parser, keep_from_others
from metrics.configuration import campaigns
from metrics.errors import MetricsError
from pages.accounts import passwords
from pages.accounts.access import configuration_path
from pages.accounts.errors import AccountsError
from pages.accounts.store import NAME, Account, Accounts

PEOPLE = tuple(role for role in ROLES if role != "television")


def parser() -> Parser:
    parser = Parser(prog="python -m pages.accounts", description=f"Accounts in {access_dir()} (VIGIE_ACCESS_DIR)")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(of: "argparse._SubParsersAction[Parser]", name: str, run: object, help: str) -> Parser:
        parser = of.add_parser(name, help=help, description=help)
        parser.set_defaults(run=run)
        return parser

    def name_and_limits(of: Parser) -> None:
        of.add_argument("name", type=_name)
        of.add_argument("--client", action="append", default=[], help="all campaigns of this client; may be repeated")
        of.add_argument("--campaign", action="append", default=[], help="this campaign; may be repeated")
        of.add_argument("--site", action="append", default=[], help="name agents of this site only; may be repeated")

    add_person = command(commands, "add", add, "add a person; type the password when asked, or pipe it in")
    name_and_limits(add_person)
    add_person.add_argument("--role", required=True, choices=PEOPLE)
    command(commands, "password", change_password, "change a person's password").add_argument("name", type=_name)
    command(commands, "remove", remove, "remove a person and sign them out at once").add_argument("name", type=_name)
    command(commands, "list", list_people, "list the people")
    screens = commands.add_parser("tv", help="televisions").add_subparsers(metavar="COMMAND", required=True)
    name_and_limits(command(screens, "add", add_screen, "add a television and print its token, once"))
    command(screens, "revoke", revoke, "revoke a television's token at once").add_argument("name", type=_name)
    command(screens, "list", list_screens, "list the televisions")
    audit_trail = command(commands, "audit", audit, "print who did what, or check that nothing is missing")
    audit_trail.add_argument("--person", help="entries about this person only")
    audit_trail.add_argument("--kind", choices=trail.KINDS)
    audit_trail.add_argument("--since", type=_instant, help="from this instant on, in UTC unless it says otherwise")
    audit_trail.add_argument("--until", type=_instant, help="before this instant")
    audit_trail.add_argument("--most", type=int, default=200, help="so many, the newest; 200 by default")
    audit_trail.add_argument("--verify", action="store_true", help="check every hash, and print the newest")
    audit_trail.add_argument("--noted", type=_noted, metavar="ENTRY:HASH", help="check a hash noted earlier, too")
    return parser


def add(accounts: Accounts, options: argparse.Namespace) -> None:
    if options.role == "client" and not (options.client or options.campaign):
        raise AccountsError("A client account must say whose campaigns it sees; add --client or --campaign.")
    _refuse_unknown(options)
    _refuse_taken(accounts, options.name)
    account = _account(options, options.role, passwords.proof_of(_password()))
    _put(accounts, account, "added")
    _print(f"{account.name} may sign in as {account.role}: {_limits(account)}.")


def change_password(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, PEOPLE)
    proof = passwords.proof_of(_password())
    _put(accounts, msgspec.structs.replace(account, proof=proof), "new password")
    _print(f"{account.name} has a new password; sessions begun with the old one are signed out.")


def remove(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, PEOPLE)
    _drop(accounts, account)
    _print(f"{account.name} is removed and signed out.")


def list_people(accounts: Accounts, options: argparse.Namespace) -> None:
    _list(accounts, PEOPLE)


def add_screen(accounts: Accounts, options: argparse.Namespace) -> None:
    _refuse_unknown(options)
    _refuse_taken(accounts, options.name)
    token = passwords.new_token()
    account = _account(options, "television", passwords.token_proof(token))
    _put(accounts, account, "added")
    _print(f"{account.name} may show the wall: {_limits(account)}.")
    _print("Open this address on the television. It is shown only this once:")
    _print(f"/tv#{token}")


def revoke(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, ("television",))
    _drop(accounts, account)
    _print(f"{account.name} is revoked; its screen shows the sign-in page within seconds.")


def list_screens(accounts: Accounts, options: argparse.Namespace) -> None:
    _list(accounts, ("television",))


def _account(options: argparse.Namespace, role: Role, proof: str) -> Account:
    limits = (tuple(options.client), tuple(options.campaign), tuple(options.site))
    return Account(options.name, role, proof, *limits)


def _put(accounts: Accounts, account: Account, how: str) -> None:
    def put(all: dict[str, Account]) -> None:
        all[account.name] = account

    _change(accounts, put, f"{account.name} · {how} · {account.role} · {_limits(account)}")


def _drop(accounts: Accounts, account: Account) -> None:
    def drop(all: dict[str, Account]) -> None:
        all.pop(account.name, None)

    _change(accounts, drop, f"{account.name} · removed · {account.role}")


def _change(accounts: Accounts, edit: Callable[[dict[str, Account]], None], what: str) -> None:
    """Change the accounts. The entry in the audit trail stays only if the change is made."""
    with trail.of_this_machine().transaction(clock.now_s()) as add:
        add("account", trail.operator(), trail.HERE, what)
        accounts.change(edit)


def audit(accounts: Accounts, options: argparse.Namespace) -> None:
    kept = trail.of_this_machine()
    if options.verify or options.noted:
        _verify(kept, options.noted)
        return
    given = {"kind": options.kind, "who": options.person, "since": options.since, "until": options.until}
    for entry in reversed(kept.entries(**given, most=options.most)):
        at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
        times = f"\t{entry.times} times" if entry.times > 1 else ""
        _print(f"{entry.entry or '-'}\t{at}Z\t{entry.kind}\t{entry.who}\t{entry.address}\t{entry.what}{times}")


def _verify(kept: trail.Trail, noted: tuple[int, str] | None) -> None:
    chain = kept.verify()
    if chain.broken is not None:
        raise AccountsError(
            f"The audit trail {kept.path} is broken at entry {chain.broken}: something else than Vigie changed or"
            " removed an entry there; compare it with a backup."
        )
    if noted is not None and kept.hash_of(noted[0]) != noted[1]:
        raise AccountsError(
            f"Entry {noted[0]} of {kept.path} has another hash than the one that was noted, or is deleted; if it is"
            " younger than the retention, the whole trail was replaced: compare it with a backup."
        )
    _print(f"{chain.entries} entries, complete and unchanged. Note the newest: {chain.newest}:{chain.hash}")


def _list(accounts: Accounts, roles: Collection[str]) -> None:
    for account in accounts.all().values():
        if account.role in roles:
            _print(f"{account.name}\t{account.role}\t{_limits(account)}")


def _limits(account: Account) -> str:
    limits = [
        f"{kind} {', '.join(names)}"
        for kind, names in (
            ("clients", account.clients),
            ("campaigns", account.campaigns),
            ("agents of sites", account.sites),
        )
        if names
    ]
    return "; ".join(limits) or "everything"


def _refuse_unknown(options: argparse.Namespace) -> None:
    if not (options.client or options.campaign):
        return
    configuration = campaigns.load(configuration_path())
    for kind, names, configured in (
        ("client", options.client, configuration.clients),
        ("campaign", options.campaign, configuration.campaigns),
    ):
        for name in names:
            if name not in configured:
                raise AccountsError(f"{configuration.path} has no {kind} {name!r}; there are {', '.join(configured)}.")


def _refuse_taken(accounts: Accounts, name: str) -> None:
    if name in accounts.all():
        raise AccountsError(f"There is already an account {name}; remove it first, or choose another name.")


def _existing(accounts: Accounts, name: str, roles: Collection[str]) -> Account:
    account = accounts.get(name)
    if account is None or account.role not in roles:
        kind = "television" if "television" in roles else "person"
        names = [other.name for other in accounts.all().values() if other.role in roles]
        raise AccountsError(f"There is no {kind} {name}; there are {', '.join(names) or 'none'}.")
    return account


def _name(argument: str) -> str:
    name = argument.casefold()
    if not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{argument!r} is not a valid name; use up to 64 of a-z, 0-9, '.', '_', '@' and '-'"
        )
    return name


def _instant(argument: str) -> float:
    try:
        at = datetime.fromisoformat(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{argument!r} is not an instant; write it like 2026-11-25T14:00Z") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _noted(argument: str) -> tuple[int, str]:
    entry, _colon, digest = argument.partition(":")
    if not entry.isascii() or not entry.isdigit() or not digest:
        raise argparse.ArgumentTypeError(f"{argument!r} is not ENTRY:HASH, as --verify prints it")
    return int(entry), digest


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Repeat the password: ") != password:
        raise AccountsError("The two passwords differ; start again.")
    return password


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str]) -> int:
    try:
        options = parser().parse_args(arguments)
        options.run(Accounts(access_dir()), options)
    except MetricsError as error:
        sys.stderr.write(f"vigie: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"vigie: {error.filename} cannot be written ({error.strerror}); use another user or path.\n")
        return 1
    return 0


if __name__ == "__main__":
    keep_from_others()
    sys.exit(main(sys.argv[1:]))
