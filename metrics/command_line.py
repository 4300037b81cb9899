"""The argument parser of every command: it reports a bad command line in one sentence without secrets."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from metrics.errors import CommandLineError

NOT_FOR_OTHERS = 0o027
"""What files may not allow, as a umask: to write for the group, and anything for others. They are about people."""
OPTION = re.compile(r"--[a-z][a-z-]*")


def keep_from_others() -> None:
    """Let what this program makes be read by its user and its group only."""
    os.umask(os.umask(NOT_FOR_OTHERS) | NOT_FOR_OTHERS)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises CommandLineError. Of unknown arguments it repeats only the names of options."""

    def error(self, message: str) -> NoReturn:
        raise CommandLineError(f"{message}; see `{self.prog} --help`.")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Like argparse, but never repeat a value that belongs to no option: it may be a password."""
        options, unknown = self.parse_known_args(args, namespace)
        named = [match.group() for word in unknown if (match := OPTION.match(word))]
        if named:
            self.error(f"there is no option {', '.join(named)}")
        if unknown:
            self.error("there is a word too many, or an option before it is missing")
        return options
