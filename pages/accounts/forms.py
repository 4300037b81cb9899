"""The pages for whoever is not signed in: plain HTML, so that nothing of the dashboard runs for them."""

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import streamlit

from pages.assets import ASSETS
from pages.shared import i18n
from pages.shared.i18n import Text

FONT = next((Path(streamlit.__file__).parent / "static" / "static" / "media").glob("SourceSansVF-Upright*.woff2"), None)
LOGO = base64.b64encode((ASSETS / "logo.svg").read_bytes()).decode()
FIRST = "python -m pages.accounts add NAME --role manager"
SCRIPT = """\
const form = document.forms[0], token = location.hash.slice(1);
history.replaceState(null, "", location.pathname + location.search);
if (token) { form.token.value = token; form.submit(); }
"""
"""A token comes behind the # of an address, which no browser sends and no log keeps, and leaves it at once."""


@dataclass(frozen=True)
class Frame:
    """What every page is drawn with.

    `base` is the path that the dashboard is served under, "" or "/vigie"; `next` where to go on after signing in;
    `asked` the language that was chosen here, if one was; `by_provider` and `by_password` are the ways in.
    """

    text: Text
    base: str
    path: str
    next: str = ""
    asked: str = ""
    by_provider: bool = False
    by_password: bool = False

    def href(self, **asked: str) -> str:
        return f"{self.base}{self.path}?{urlencode({k: v for k, v in ({'next': self.next} | asked).items() if v})}"


def style(base: str) -> str:
    font = f'@font-face {{ font-family: "Source Sans"; src: url("{base}/static/media/{FONT.name}"); }}' if FONT else ""
    return font + (ASSETS / "forms.css").read_text()


def policy(base: str, by_provider: bool) -> str:
    """Return the content security policy: nothing from elsewhere, no script but SCRIPT, in nobody's frame.

    With a provider a form may lead on to it: signing out there follows signing out here.
    """

    def sha256(words: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()}'"

    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {sha256(style(base))}",
            f"script-src {sha256(SCRIPT)}",
            "font-src 'self'",
            "img-src data:",
            *(() if by_provider else ("form-action 'self'",)),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def sign_in(frame: Frame, *, name: str = "", wrong: str = "") -> str:
    """Draw the ways in, with what was wrong about the last attempt: the provider's, the form for name and password.

    Without either, say what whoever runs this has to do.
    """
    _ = frame.text.gettext
    words = _("Nobody can sign in yet. Whoever runs Vigie adds the first account with this command:")
    ways = [] if frame.by_provider or frame.by_password else [f"<p>{escape(words)}</p><pre><code>{FIRST}</code></pre>"]
    if frame.by_provider:
        label = _("Sign in with your organisation’s account")
        address = escape(f"{frame.base}{frame.path}/provider?{urlencode({'next': frame.next})}")
        ways.append(f'<a class="button" href="{address}">{escape(label)}</a>')
    if frame.by_password:
        fields = (
            _field("name", _("User name"), "text", "username", name, focus=not name)
            + _field("password", _("Password"), "password", "current-password", "", focus=bool(name))
            + f'<input type="hidden" name="next" value="{escape(frame.next)}">'
        )
        ways.append(_form(fields, _("Sign in"), wrong, frame.base + frame.path))
    between = _("or")
    return _page(frame, _("Sign in"), f'<p class="or">{escape(between)}</p>'.join(ways))


def nothing_assigned(frame: Frame, name: str) -> str:
    """Tell somebody whom the provider knows that nothing here is theirs."""
    _ = frame.text.gettext
    words = _("You are signed in as {name}, but nothing is assigned to you. Whoever runs Vigie can give you a role.")
    way_out = _("Sign out")
    form = f'<form method="post" action="{frame.base}/sign-out"><button>{escape(way_out)}</button></form>'
    return _page(frame, "Vigie", f"<p>{escape(words.format(name=name))}</p>{form}")


def leaving(frame: Frame, to: str) -> str:
    """Draw the page between here and the provider, where one signs out as well; it leads on by itself."""
    _ = frame.text.gettext
    label = _("Sign out")
    return _page(frame, "Vigie", f'<a class="button" href="{escape(to)}">{escape(label)}</a>')


def television(frame: Frame, *, wrong: str = "") -> str:
    """Draw the form for a television's token, which fills and sends itself when the address carries one."""
    _ = frame.text.gettext
    fields = _field("token", _("Token of this screen"), "password", "off", "", focus=True)
    form = _form(fields, _("Show the wall"), wrong)  # sent to this address, with what it asks of the wall
    return _page(frame, _("Television"), form + f"<script>{SCRIPT}</script>")


def refused(frame: Frame, words: str) -> str:
    """Say why something was not done, and lead to the sign-in page."""
    _ = frame.text.gettext
    label = _("Sign in")
    back = f'<a class="button" href="{frame.base}/sign-in">{escape(label)}</a>'
    return _page(frame, "Vigie", f'<p class="wrong" role="alert">{escape(words)}</p>{back}')


def _field(name: str, label: str, kind: str, complete: str, value: str, focus: bool) -> str:
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="{complete}"'
        f' autocapitalize="none" spellcheck="false" maxlength="256" required{" autofocus" * focus}>'
    )


def _form(fields: str, button: str, wrong: str, action: str = "") -> str:
    """Draw a form that is sent to `action`, or to the address it was got from."""
    said = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    to = f' action="{escape(action)}"' if action else ""
    return f'{said}<form method="post"{to}>{fields}<button>{escape(button)}</button></form>'


def _page(frame: Frame, title: str, main: str) -> str:
    _ = frame.text.gettext
    current = frame.text.language
    languages = "".join(
        f'<a lang="{code}" hreflang="{code}" href="{escape(frame.href(lang=code))}"'
        f' aria-current="{str(code == current).lower()}">{name}</a>'
        for code, name in i18n.LANGUAGES.items()
    )
    label = _("Language")
    heading = "" if title == "Vigie" else f"<h1>{escape(title)}</h1>"
    return (
        f'<!doctype html><html lang="{current}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f'<link rel="icon" href="data:image/svg+xml;base64,{LOGO}">'
        f"<title>{escape(title)}{'' if title == 'Vigie' else ' · Vigie'}</title>"
        f"<style>{style(frame.base)}</style></head>"
        f'<body><main><header><img src="data:image/svg+xml;base64,{LOGO}" alt=""><span>Vigie</span></header>'
        f'{heading}{main}</main><nav aria-label="{escape(label)}">{languages}</nav></body></html>'
    )
