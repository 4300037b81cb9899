"""The command line of `python -m ingest`: every option is also an environment variable `VIGIE_…`."""

import argparse
import os
from collections.abc import Callable
from typing import Any, NoReturn

from ingest.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that answers a wrong command line in one sentence, and whose options read `VIGIE_…`."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`.")

    def option(self, name: str, *, default: Any, help: str, type: Callable[[str], Any] = str) -> None:
        """Add `--name VALUE`, whose default is the variable `VIGIE_NAME` or else `default`."""
        variable = "VIGIE_" + name.removeprefix("--").replace("-", "_").upper()
        given = os.environ.get(variable)
        if given:
            try:
                default = type(given)
            except (ValueError, argparse.ArgumentTypeError) as error:
                raise UsageError(f"{variable}={given!r} cannot be used: {error}.") from error
        shown = "" if default is None else f" (default {default})"
        self.add_argument(name, default=default, type=type, help=f"{help}{shown}; also {variable}")

    def kafka_options(self) -> None:
        """Add the options that every command which talks to Kafka has."""
        self.option("--bootstrap-servers", default="127.0.0.1:9092", help="Kafka brokers, HOST:PORT[,HOST:PORT…]")
        self.option("--topic", default="call-events", help="the topic of call events")
