"""The errors of notify that are shown to the user.

MetricsError            see metrics/errors.py
├── AddressError        an address of campaigns.toml cannot be used; exit 2
├── AlreadyRunning      another notify works on this desk; exit 1
└── NotDelivered        a channel did not take a message; it is tried again
"""

from metrics.errors import MetricsError
from metrics.language.failure_words import failure
from metrics.language.text import SOURCE, text


class AddressError(MetricsError):
    """An address is one that no service knows, or a variable in it is not set. The message repeats no secret."""

    exit_code = 2


class AlreadyRunning(MetricsError):
    """Another process delivers from this desk."""


class NotDelivered(MetricsError):
    """`reason` is one of metrics/language/failure_words.py: it has nothing of the address or of the receiver's text."""

    def __init__(self, reason: str) -> None:
        super().__init__(failure(reason, text(SOURCE)))
        self.reason = reason
