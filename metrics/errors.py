"""The errors of metrics that are shown to the user.

MetricsError            one sentence that says what is wrong and what to do
├── CommandLineError    a command has unknown options, values or words; exit 2
├── ConfigurationError  campaigns.toml, or the time zone rules of this machine, cannot be used; exit 2
└── NothingPublished    there is no published file yet; exit 1
"""


class MetricsError(Exception):
    """The message is one sentence that says what is wrong, where, and what to do."""

    exit_code = 1


class CommandLineError(MetricsError):
    """The command line has an unknown option, value or word."""

    exit_code = 2


class ConfigurationError(MetricsError):
    """The configuration is invalid, or Python and DuckDB disagree about one of its time zones."""

    exit_code = 2


class NothingPublished(MetricsError):
    """The data directory has no published file."""
