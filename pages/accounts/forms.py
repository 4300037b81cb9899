"""The pages for people who are not signed in. They are plain HTML, so that no code of the dashboard runs for them."""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import streamlit

from pages.assets import ASSETS, sha256
from pages.shared import i18n
from pages.shared.i18n import Text

FONT = next((Path(streamlit.__file__).parent / "static" / "static" / "media").glob("SourceSansVF-Upright*.woff2"), None)
LOGO = base64.b64encode((ASSETS / "logo.svg").read_bytes()).decode()
ADD_FIRST_ACCOUNT = "python -m pages.accounts add NAME --role manager"
SCRIPT = """\
const form = document.forms[0], token = location.hash.slice(1);
history.replaceState(null, "", location.pathname + location.search);
if (token) { form.token.value = token; form.submit(); }
"""
"""Takes the token from behind the # of the address, and removes it there. Browsers do not send that part to servers,
so it is in no log."""


@dataclass(frozen=True)
class Frame:
    """What every page needs.

    `base` is the path under which the dashboard is served, "" or "/vigie". `path` is this page, below `base`. `next` is
    where to go after signing in. `chosen` is the language chosen on these pages, "" if none was. `by_provider` and
    `by_password` say which ways to sign in there are.
    """

    text: Text
    base: str
    path: str
    next: str = ""
    chosen: str = ""
    by_provider: bool = False
    by_password: bool = False

    def href(self, **params: str) -> str:
        return f"{self.base}{self.path}?{urlencode({k: v for k, v in ({'next': self.next} | params).items() if v})}"


def style(base: str) -> str:
    font = f'@font-face {{ font-family: "Source Sans"; src: url("{base}/static/media/{FONT.name}"); }}' if FONT else ""
    return font + (ASSETS / "forms.css").read_text()


def policy(base: str, by_provider: bool) -> str:
    """Return the content security policy: nothing from other sites, no script but SCRIPT, not in other sites' frames.

    With a provider, forms may lead to other sites: signing out here is followed by signing out at the provider.
    """
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
    """Draw the ways to sign in: the provider's, and the form for name and password. `wrong` is about the last attempt.

    If there is neither, say how to add the first account.
    """
    _ = frame.text.gettext
    ways = []
    if not frame.by_provider and not frame.by_password:
        advice = _("Nobody can sign in yet. Whoever runs Vigie adds the first account with this command:")
        ways.append(f"<p>{escape(advice)}</p><pre><code>{ADD_FIRST_ACCOUNT}</code></pre>")
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
    separator = _("or")
    return _page(frame, _("Sign in"), f'<p class="or">{escape(separator)}</p>'.join(ways))


def nothing_assigned(frame: Frame, name: str) -> str:
    """Tell somebody who signed in through the provider that no role is assigned to them."""
    _ = frame.text.gettext
    advice = _("You are signed in as {name}, but nothing is assigned to you. Whoever runs Vigie can give you a role.")
    sign_out = _("Sign out")
    form = f'<form method="post" action="{frame.base}/sign-out"><button>{escape(sign_out)}</button></form>'
    return _page(frame, "Vigie", f"<p>{escape(advice.format(name=name))}</p>{form}")


def leaving(frame: Frame, to: str) -> str:
    """Draw the page that leads on to the provider, to sign out there as well. The caller adds the redirect."""
    _ = frame.text.gettext
    label = _("Sign out")
    return _page(frame, "Vigie", f'<a class="button" href="{escape(to)}">{escape(label)}</a>')


def television(frame: Frame, *, wrong: str = "") -> str:
    """Draw the form for a television's token. With a token in the address it fills and sends itself."""
    _ = frame.text.gettext
    fields = _field("token", _("Token of this screen"), "password", "off", "", focus=True)
    form = _form(fields, _("Show the wall"), wrong)  # is sent to this address, which has the wall's parameters
    return _page(frame, _("Television"), form + f"<script>{SCRIPT}</script>")


def refused(frame: Frame, reason: str) -> str:
    """Say why nothing was done, and link to the sign-in page."""
    _ = frame.text.gettext
    label = _("Sign in")
    back = f'<a class="button" href="{frame.base}/sign-in">{escape(label)}</a>'
    return _page(frame, "Vigie", f'<p class="wrong" role="alert">{escape(reason)}</p>{back}')


def _field(name: str, label: str, kind: str, complete: str, value: str, focus: bool) -> str:
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="{complete}"'
        f' autocapitalize="none" spellcheck="false" maxlength="256" required{" autofocus" * focus}>'
    )


def _form(fields: str, button: str, wrong: str, action: str = "") -> str:
    """Draw a form that is sent to `action`, by default to its own address."""
    alert = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    to = f' action="{escape(action)}"' if action else ""
    return f'{alert}<form method="post"{to}>{fields}<button>{escape(button)}</button></form>'


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
