"""A small OpenID provider: discovery, keys, a page to sign in at, codes with PKCE, ID tokens signed with RS256.

It keeps what the specification asks of a provider: a code is good once, for the client and address it was made for, and
only with the secret that its PKCE challenge was made of.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.processes import free_port, wait_for

CLIENT_ID, CLIENT_SECRET = "vigie", "a-secret-between-provider-and-vigie"


@dataclass
class Provider:
    """The provider at `issuer`; `people` are subject → claims. What it does wrong it was told to."""

    issuer: str
    redirect_uri: str
    people: dict[str, dict[str, Any]]
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}))
    signs_with: RSAKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    """Set in every ID token, over what it would say."""
    signed_out: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.jwks),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/end-session", self.end_session),
            ]
        )

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "end_session_endpoint": f"{self.issuer}/end-session",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def jwks(self, request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        """Ask who it is; the choice comes back here, and leads to the dashboard with a code."""
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT_ID or asked.get("redirect_uri") != self.redirect_uri:
            return Response("unknown client or address", 400)  # never a redirect to where it was not registered
        if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
            return Response("only the code flow of OpenID Connect is served here", 400)
        subject = asked.pop("subject", None)
        if subject is None:
            links = "".join(
                f'<p><a href="/authorize?{escape(urlencode(asked | {"subject": one}))}">{escape(one)}</a></p>'
                for one in self.people
            )
            return HTMLResponse(f"<h1>Who are you?</h1>{links}")
        code = secrets.token_urlsafe()
        self._codes[code] = asked | {"subject": subject}
        return RedirectResponse(f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        client = base64.b64decode(request.headers.get("authorization", "").partition(" ")[2] or b"Og==").decode()
        asked = self._codes.pop(str(form.get("code")), None)
        verifier = str(form.get("code_verifier", "")).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            client != f"{CLIENT_ID}:{CLIENT_SECRET}"
            or asked is None
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked.get("code_challenge")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": asked["subject"], "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"]} | self.people[asked["subject"]] | self.claims
        key = self.signs_with or self.key
        id_token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key, algorithms=["RS256"])
        return JSONResponse(
            {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "expires_in": 300, "id_token": id_token}
        )

    async def end_session(self, request: Request) -> Response:
        self.signed_out.append(dict(request.query_params))
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)


@contextmanager
def identity_provider(redirect_uri: str, people: dict[str, dict[str, Any]]) -> Iterator[Provider]:
    """Serve a provider that knows these people until the block ends."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}", redirect_uri, people)
    server = uvicorn.Server(uvicorn.Config(provider.app(), port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, "the provider's start")
        yield provider
    finally:
        server.should_exit = True
        thread.join()
