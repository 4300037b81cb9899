"""Signing in with OpenID Connect.

These routes do what `st.login` does, because no page runs for people who are not signed in. Streamlit exchanges the
tokens with the provider at `/auth/login` and `/oauth2callback`, as configured in `[auth]` of its secrets.toml, and sets
a signed cookie with the claims of the ID token. That cookie lasts a month whatever the token says, so it is exchanged
for a session of ours at once, or not at all.
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
from pages.accounts.sessions import ALL, PERSON_S, SHORTEST_SECRET, ProviderClaims, Session

FRESH_S = 300
"""An ID token is accepted for this long after it was issued. The provider's clock may differ from ours by as much."""
PROVIDER = "default"


def is_configured() -> bool:
    return bool(auth_util.get_secrets_auth_section())


def refuse_half_configured() -> None:
    """Raise AccountsError if `[auth]` cannot work or is not safe."""
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
    """Return the address to which the browser is sent to sign in."""
    return generate_login_redirect_url(PROVIDER)


def session_of(cookies: Mapping[str, str], configuration: Configuration, now: float) -> Session | None:
    """Return a session for the person who has just come back from the provider; None if nobody has.

    It keeps only roles, clients and campaigns that exist, because a provider may send hundreds of groups.
    """
    secret = auth_util.get_signing_secret()

    def verified(name: str) -> bytes | None:
        return decode_signed_value(secret, name, cookies.get(name, "").encode("latin-1"))

    raw = auth_util.get_cookie_with_chunks(verified, USER_COOKIE_NAME)
    if raw is None:
        return None
    claims = json.loads(raw)
    if claims.get("origin") != auth_util.get_origin_from_redirect_uri() or claims.get("provider") != PROVIDER:
        return None
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float) or not abs(now - clock.shown_at(issued_at)) <= FRESH_S:
        return None
    claim_names = configuration.claims
    kept = ProviderClaims(
        subject=str(claims.get("sub", "")),
        email=str(claims.get("email", "")).casefold() if claims.get("email_verified") is True else "",
        roles=_texts(claims, claim_names.role, ROLES),
        clients=_texts(claims, claim_names.clients, configuration.clients),
        campaigns=_texts(claims, claim_names.campaigns, configuration.campaigns),
        sites=_texts(claims, claim_names.sites),
    )
    names = (str(claims.get(key) or "").strip() for key in ("name", "email", "sub"))
    name = next(filter(None, names), "")
    printable = "".join(letter if letter.isprintable() else " " for letter in name)[:80]
    # the same cookie gives the same session id, so an ended session cannot be begun again with it
    return Session(hashlib.sha256(raw).hexdigest(), printable, int(now) + PERSON_S, claims=kept)


def _texts(claims: Mapping[str, Any], name: str, existing: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the texts of a claim (a text, or a list of texts) that exist or are ALL. `existing` None allows any."""
    claim = claims.get(name) if name else None
    texts = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return tuple(t for t in texts if isinstance(t, str) and (existing is None or t in existing or t == ALL))
