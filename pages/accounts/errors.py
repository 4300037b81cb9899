"""What can be wrong with the accounts: said in one sentence that says what to do."""

from metrics.errors import MetricsError


class AccountsError(MetricsError):
    """The accounts cannot be read or changed as asked, or the dashboard must not start with them."""

    exit_code = 2
