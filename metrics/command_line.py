"""How every command of Vigie answers a command line that it cannot follow: in one sentence that tells no secret."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from metrics.errors import CommandLineError

OPTION = re.compile(r"--[a-z][a-z-]*")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises CommandLineError; of what it does not know it repeats the options' names only."""

    def error(self, message: str) -> NoReturn:
        raise CommandLineError(f"{message}; see `{self.prog} --help`.")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse has it, but a value that belongs to no option is not repeated: it may be a password."""
        options, unknown = self.parse_known_args(args, namespace)
        named = [found.group() for word in unknown if (found := OPTION.match(word))]
        if named:
            self.error(f"there is no option {', '.join(named)}")
        if unknown:
            self.error("there is a word too many, or an option before it is missing")
        return options
