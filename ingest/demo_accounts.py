"""The demo's accounts, one per role. They keep their passwords, token and sessions from start to start."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ingest.errors import VigieError

ROOT = Path(__file__).parent.parent
PEOPLE = (
    ("manager", "every campaign", ("--role", "manager")),
    ("client", "the campaigns of Mutuelle Oréa", ("--role", "client", "--client", "orea")),
    ("analyst", "every campaign, and SQL", ("--role", "analyst")),
)
TELEVISION = "television"
SECRETS = "demo-secrets.json"
"""The file beside the accounts, for its owner only: name → password or path of the television, and the proof of it."""


def lines(url: str, environment: Mapping[str, str]) -> list[str]:
    """Make the accounts that are missing, and return the lines to print about all of them.

    A password that somebody has changed cannot be printed: nobody but its owner knows it.
    """
    folder = Path(environment["VIGIE_ACCESS_DIR"])
    kept = _kept(folder)

    def run(*arguments: str, typed: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pages.accounts", *arguments],
            input=typed,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise VigieError(done.stderr.strip().removeprefix("vigie: "))
        return done.stdout

    def secret_of(name: str, make: Callable[[], str], remove: tuple[str, ...]) -> str:
        proof = _proofs(folder).get(name)
        if proof and name in kept:
            return kept[name]["secret"] if kept[name]["proof"] == proof else "(changed by you)"
        if proof:  # made by a start that ended before it kept the secret
            run(*remove, name)
        secret = make()
        kept[name] = {"secret": secret, "proof": _proofs(folder)[name]}
        _keep(folder, kept)
        return secret

    def add(name: str, options: tuple[str, ...]) -> str:
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        run("add", name, *options, typed=password + "\n")
        return password

    accounts = ["Sign in as    with the password"]
    for name, sees, options in PEOPLE:
        password = secret_of(name, partial(add, name, options), ("remove",))
        accounts.append(f"  {name:<11} {password:<19}   {sees}")
    path = secret_of(TELEVISION, lambda: run("tv", "add", TELEVISION).splitlines()[-1], ("tv", "revoke"))
    return [*accounts, f"A television  {url}{path}"]


def _proofs(folder: Path) -> dict[str, str]:
    """Return the accounts: name → proof of the password or token."""
    try:
        accounts = json.loads((folder / "accounts.json").read_bytes())["accounts"]
    except FileNotFoundError:
        return {}
    return {account["name"]: account["proof"] for account in accounts}


def _kept(folder: Path) -> dict[str, dict[str, str]]:
    try:
        return dict(json.loads((folder / SECRETS).read_bytes()))
    except FileNotFoundError:
        return {}


def _keep(folder: Path, kept: dict[str, dict[str, str]]) -> None:
    new_file = folder / f"{SECRETS}.new"
    new_file.unlink(missing_ok=True)  # of a start that was killed
    with os.fdopen(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(kept, file)
    new_file.replace(folder / SECRETS)
