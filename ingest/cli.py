"""The command line of `python -m ingest`: every option is also an environment variable `VIGIE_…`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingest.errors import UsageError
from metrics import command_line


class Parser(command_line.Parser):
    """A Parser whose options read `VIGIE_…`."""

    def option(self, name: str, *, default: Any, help: str, type: Callable[[str], Any] = str) -> None:
        """Add `--name VALUE`, whose default is the variable `VIGIE_NAME` or else `default`."""
        variable = "VIGIE_" + name.removeprefix("--").replace("-", "_").upper()
        from_environment = os.environ.get(variable)
        if from_environment:
            try:
                default = type(from_environment)
            except (ValueError, argparse.ArgumentTypeError) as error:
                raise UsageError(f"{variable}={from_environment!r} cannot be used: {error}.") from error
        shown = "" if default in (None, "") else f" (default {default})"
        self.add_argument(name, default=default, type=type, help=f"{help}{shown}; also {variable}")

    def flag(self, name: str, *, help: str) -> None:
        """Add `--name`. The variable `VIGIE_NAME` sets it too, unless it is empty or 0."""
        variable = "VIGIE_" + name.removeprefix("--").replace("-", "_").upper()
        is_set = os.environ.get(variable, "0") not in ("", "0")
        self.add_argument(name, action="store_true", default=is_set, help=f"{help}; also {variable}=1")

    def keys_option(self) -> None:
        """Add the option of every command that reads events to keep them."""
        self.option(
            "--keys-dir",
            default=None,
            type=Path,
            help="where the keys of callers are, outside the data directory (default: DATA_DIR-keys)",
        )

    def kafka_options(self) -> None:
        """Add the options of every command that connects to Kafka."""
        self.option("--bootstrap-servers", default="127.0.0.1:9092", help="Kafka brokers, HOST:PORT[,HOST:PORT…]")
        self.option("--topic", default="call-events", help="the topic of call events")
        self.option(
            "--security-protocol",
            default="PLAINTEXT",
            help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL (docs/kafka.md)",
        )
        self.option("--sasl-mechanism", default="SCRAM-SHA-512", help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        self.option(
            "--sasl-username",
            default="",
            help="user name; the password comes from VIGIE_SASL_PASSWORD or the file VIGIE_SASL_PASSWORD_FILE",
        )
        self.option("--ssl-ca-file", default="", help="PEM file of the authority that signed the brokers' certificates")
        self.option("--ssl-cert-file", default="", help="PEM file of our own certificate, if the brokers ask for one")
        self.option("--ssl-key-file", default="", help="PEM file of its key, unencrypted")


def between(least: int, most: int, what: str = "whole number") -> Callable[[str], int]:
    """The `type` of an option whose value is a number from `least` to `most`."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {what} from {least} to {most}")
        return int(text)

    return number


def say_campaigns_are_ignored(campaigns: Path) -> None:
    """If VIGIE_CAMPAIGNS is set, say that it is ignored: the command's events are of these campaigns."""
    if ignored := os.environ.get("VIGIE_CAMPAIGNS"):
        sys.stderr.write(f"VIGIE_CAMPAIGNS={ignored} is ignored: these calls belong to the campaigns of {campaigns}.\n")
