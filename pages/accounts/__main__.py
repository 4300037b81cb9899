"""`python -m pages.accounts`: who may sign in on this machine, and which televisions may show the wall.

Passwords and tokens are never on a command line, where everybody on the machine could read them: a password is asked
for, or read as one line of what is piped in; a token is made here and printed once.
"""

import argparse
import getpass
import sys
from collections.abc import Iterable

import msgspec

from metrics.authorisation.viewer import ROLES, Role
from metrics.command_line import Parser
from metrics.configuration import campaigns
from metrics.errors import MetricsError
from pages.accounts import passwords
from pages.accounts.access import access_dir, configuration_path
from pages.accounts.errors import AccountsError
from pages.accounts.store import NAME, Account, Accounts

PEOPLE = tuple(role for role in ROLES if role != "television")


def parser() -> Parser:
    parser = Parser(prog="python -m pages.accounts", description=f"Accounts in {access_dir()} (VIGIE_ACCESS_DIR)")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(of: "argparse._SubParsersAction[Parser]", name: str, run: object, help: str) -> Parser:
        made = of.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        return made

    def limits(of: Parser) -> None:
        of.add_argument("name", type=_name)
        of.add_argument("--client", action="append", default=[], help="all campaigns of this client; may be repeated")
        of.add_argument("--campaign", action="append", default=[], help="this campaign; may be repeated")
        of.add_argument("--site", action="append", default=[], help="name agents of this site only; may be repeated")

    adding = command(commands, "add", add, "add a person; the password is asked for, or piped in")
    limits(adding)
    adding.add_argument("--role", required=True, choices=PEOPLE)
    command(commands, "password", change_password, "give a person another password").add_argument("name", type=_name)
    command(commands, "remove", remove, "remove a person, who is signed out at once").add_argument("name", type=_name)
    command(commands, "list", list_people, "list the people")
    screens = commands.add_parser("tv", help="televisions").add_subparsers(metavar="COMMAND", required=True)
    limits(command(screens, "add", add_screen, "add a television and print its token, once"))
    command(screens, "revoke", revoke, "revoke a television's token, at once").add_argument("name", type=_name)
    command(screens, "list", list_screens, "list the televisions")
    return parser


def add(accounts: Accounts, options: argparse.Namespace) -> None:
    if options.role == "client" and not (options.client or options.campaign):
        raise AccountsError("A client sees somebody's campaigns; add --client or --campaign.")
    _refuse_unknown(options)
    _refuse_taken(accounts, options.name)
    account = _asked(options, options.role, passwords.proof_of(_password()))
    _put(accounts, account)
    _say(f"{account.name} may sign in as {account.role}: {_limits(account)}.")


def change_password(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, PEOPLE)
    proof = passwords.proof_of(_password())
    _put(accounts, msgspec.structs.replace(account, proof=proof))
    _say(f"{account.name} has another password; whoever was signed in with the old one is signed out.")


def remove(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, PEOPLE)
    _drop(accounts, account.name)
    _say(f"{account.name} is removed, and signed out.")


def list_people(accounts: Accounts, options: argparse.Namespace) -> None:
    _list(accounts, PEOPLE)


def add_screen(accounts: Accounts, options: argparse.Namespace) -> None:
    _refuse_unknown(options)
    _refuse_taken(accounts, options.name)
    token = passwords.new_token()
    account = _asked(options, "television", passwords.token_proof(token))
    _put(accounts, account)
    _say(f"{account.name} may show the wall: {_limits(account)}.")
    _say("Open this address on it; it is told this once:")
    _say(f"/tv#{token}")


def revoke(accounts: Accounts, options: argparse.Namespace) -> None:
    account = _existing(accounts, options.name, ("television",))
    _drop(accounts, account.name)
    _say(f"{account.name} is revoked; a screen that shows it turns to the sign-in page within seconds.")


def list_screens(accounts: Accounts, options: argparse.Namespace) -> None:
    _list(accounts, ("television",))


def _asked(options: argparse.Namespace, role: Role, proof: str) -> Account:
    limits = (tuple(options.client), tuple(options.campaign), tuple(options.site))
    return Account(options.name, role, proof, *limits)


def _put(accounts: Accounts, account: Account) -> None:
    def put(all: dict[str, Account]) -> None:
        all[account.name] = account

    accounts.change(put)


def _drop(accounts: Accounts, name: str) -> None:
    def drop(all: dict[str, Account]) -> None:
        all.pop(name, None)

    accounts.change(drop)


def _list(accounts: Accounts, roles: Iterable[str]) -> None:
    for account in accounts.all().values():
        if account.role in roles:
            _say(f"{account.name}\t{account.role}\t{_limits(account)}")


def _limits(account: Account) -> str:
    said = [
        f"{word} {', '.join(names)}"
        for word, names in (
            ("clients", account.clients),
            ("campaigns", account.campaigns),
            ("agents of sites", account.sites),
        )
        if names
    ]
    return "; ".join(said) or "everything"


def _refuse_unknown(options: argparse.Namespace) -> None:
    if not (options.client or options.campaign):
        return
    known = campaigns.load(configuration_path())
    for word, asked, there in (
        ("client", options.client, known.clients),
        ("campaign", options.campaign, known.campaigns),
    ):
        for name in asked:
            if name not in there:
                raise AccountsError(f"{known.path} has no {word} {name!r}; there are {', '.join(there)}.")


def _refuse_taken(accounts: Accounts, name: str) -> None:
    if name in accounts.all():
        raise AccountsError(f"There is an account {name} already; remove it first, or choose another name.")


def _existing(accounts: Accounts, name: str, roles: Iterable[str]) -> Account:
    account = accounts.get(name)
    if account is None or account.role not in roles:
        known = [one.name for one in accounts.all().values() if one.role in roles]
        raise AccountsError(f"There is no {name}; there are {', '.join(known) or 'none'}.")
    return account


def _name(said: str) -> str:
    name = said.casefold()
    if not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{said!r} is no name; use up to 64 of a-z, 0-9, '.', '_', '@' and '-'")
    return name


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise AccountsError("The two passwords differ; start again.")
    return password


def _say(line: str) -> None:
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
    sys.exit(main(sys.argv[1:]))
