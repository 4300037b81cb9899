"""Loads Apprise before the tests, where warnings are errors."""

import warnings

with warnings.catch_warnings():
    # Apprise asks for imghdr, which Python 3.11 and 3.12 report as deprecated
    warnings.filterwarnings("ignore", "'imghdr' is deprecated", DeprecationWarning)
    import apprise.plugins.email  # noqa: F401 - for its side effect
