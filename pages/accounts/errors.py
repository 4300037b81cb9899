"""What can be wrong with the accounts. The message is one sentence that says what to do."""

from metrics.errors import MetricsError


class AccountsError(MetricsError):
    """The accounts cannot be read or changed, or the dashboard must not start with them."""

    exit_code = 2
