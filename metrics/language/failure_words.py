"""Why a channel did not take a message, for messages of commands, the log and pages.

A reason is a kind, and a number or a name of our own where one helps: "answered 503". Nothing in it comes from the
address or from what the receiver wrote.
"""

from metrics.language.text import Text

NO_CONNECTION, NO_ANSWER, ANSWERED = "no_connection", "no_answer", "answered"
UNKNOWN_NAME, NOT_TRUSTED, SIGN_IN, OTHER = "unknown_name", "not_trusted", "sign_in", "other"


def failure(reason: str, text: Text) -> str:
    """Say a reason in a few words: "the receiver answered 503". One of an older version is only a failure."""
    _ = text.gettext
    kind, _space, detail = reason.partition(" ")
    if kind == ANSWERED and detail.isdecimal():
        return _("the receiver answered {status}").format(status=detail)
    if kind == OTHER and detail.isidentifier():
        return _("another failure: {name}").format(name=detail)
    return {
        NO_CONNECTION: _("no connection"),
        NO_ANSWER: _("no answer in time"),
        UNKNOWN_NAME: _("the name of its server is unknown"),
        NOT_TRUSTED: _("its certificate is not trusted"),
        SIGN_IN: _("it refused the sign-in"),
    }.get(kind, _("it did not take the message"))
