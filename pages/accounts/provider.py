"""Signing in by OpenID Connect: what `st.login` does, from routes, because no page runs for whoever is not signed in.

Streamlit does the exchange with the provider at `/auth/login` and `/oauth2callback`, as `[auth]` of its secrets.toml
says, and leaves a signed cookie with the claims of the ID token. That lasts a month whatever the token says, so it is
taken for a session of ours at once or not at all.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from streamlit import auth_util
from streamlit.errors import StreamlitAuthError
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from metrics import clock
from metrics.authorisation.viewer import ROLES
from metrics.configuration.campaigns import Configuration
from pages.accounts.errors import AccountsError
from pages.accounts.sessions import ALL, PERSON_S, SHORTEST_SECRET, Session, Told

FRESH_S = 300
"""An ID token is taken for a session within this; provider's and our clock may differ by as much."""
PROVIDER = "default"


def is_configured() -> bool:
    return bool(auth_util.get_secrets_auth_section())


def refuse_half_configured() -> None:
    """Raise AccountsError when `[auth]` cannot work, or not safely."""
    try:
        auth_util.validate_auth_credentials(PROVIDER)
    except StreamlitAuthError as error:
        raise AccountsError(" ".join(str(error).split())) from error
    auth = auth_util.get_secrets_auth_section()
    if len(auth["cookie_secret"]) < SHORTEST_SECRET:
        raise AccountsError(
            f"`cookie_secret` in [auth] of secrets.toml has {len(auth['cookie_secret'])} characters; give it at least"
            f" {SHORTEST_SECRET} random ones."
        )
    if auth_util.get_validated_redirect_uri() is None:
        raise AccountsError("`redirect_uri` in [auth] of secrets.toml is wrong; it ends with /oauth2callback.")


def login_address() -> str:
    """Return where the browser is sent to sign in."""
    return generate_login_redirect_url(PROVIDER)


def session_of(cookies: Mapping[str, str], configuration: Configuration, now: float) -> Session | None:
    """Return the session of whoever has just come back from the provider; None when nobody has.

    Of roles, clients and campaigns it keeps those that there are: a provider may tell of hundreds of groups.
    """
    secret = auth_util.get_signing_secret()

    def one(name: str) -> bytes | None:
        return decode_signed_value(secret, name, cookies.get(name, "").encode("latin-1"))

    raw = auth_util.get_cookie_with_chunks(one, USER_COOKIE_NAME)
    if raw is None:
        return None
    claims = json.loads(raw)
    if claims.get("origin") != auth_util.get_origin_from_redirect_uri() or claims.get("provider") != PROVIDER:
        return None
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float) or not abs(now - clock.shown_at(issued_at)) <= FRESH_S:
        return None
    names = configuration.claims
    told = Told(
        subject=str(claims.get("sub", "")),
        email=str(claims.get("email", "")).casefold() if claims.get("email_verified") is True else "",
        roles=_texts(claims, names.role, ROLES),
        clients=_texts(claims, names.clients, configuration.clients),
        campaigns=_texts(claims, names.campaigns, configuration.campaigns),
        sites=_texts(claims, names.sites),
    )
    name = next((said for key in ("name", "email", "sub") if (said := str(claims.get(key) or "").strip())), "")
    shown = "".join(letter if letter.isprintable() else " " for letter in name)[:80]
    # the same coming back is the same session, so that one that was ended is not begun again
    return Session(hashlib.sha256(raw).hexdigest(), shown, int(now) + PERSON_S, told=told)


def _texts(claims: Mapping[str, Any], name: str, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the texts of a claim, which is one or a list, that are known or mean everything."""
    said = claims.get(name) if name else None
    texts = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return tuple(one for one in texts if isinstance(one, str) and (known is None or one in known or one == ALL))
