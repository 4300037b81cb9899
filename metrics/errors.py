"""Everything that can be wrong with what the numbers are judged by.

MetricsError            said to the user in one sentence that says what to do
├── CommandLineError    a command was given words that it does not know; exit 2
├── ConfigurationError  campaigns.toml, or the zone rules of this machine, cannot be used; exit 2
└── NothingPublished    there is no published file to read yet; exit 1
"""


class MetricsError(Exception):
    """The message is one sentence that names what was wrong, where, and what to do."""

    exit_code = 1


class CommandLineError(MetricsError):
    """The command line has an option, a value or a word that the command does not know."""

    exit_code = 2


class ConfigurationError(MetricsError):
    """The configuration breaks a rule, or Python and DuckDB disagree on a zone that it names."""

    exit_code = 2


class NothingPublished(MetricsError):
    """The data directory holds no published file."""
