"""A small OpenID provider: discovery, keys, a sign-in page, codes with PKCE, ID tokens signed with RS256.

As the specification demands, a code is valid once, only for the client and address it was issued to, and only with the
verifier of its PKCE challenge.
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
    """The provider at `issuer`; `people` maps a subject to its claims. It misbehaves only where a test sets it to."""

    issuer: str
    redirect_uri: str
    people: dict[str, dict[str, Any]]
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}))
    signs_with: RSAKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    """These override the claims of every ID token."""
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
        """Ask who signs in; the choice comes back here, and redirects to the dashboard with a code."""
        query = dict(request.query_params)
        if query.get("client_id") != CLIENT_ID or query.get("redirect_uri") != self.redirect_uri:
            return Response("unknown client or address", 400)  # never redirect to an address that is not registered
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            return Response("only the code flow of OpenID Connect is served here", 400)
        subject = query.pop("subject", None)
        if subject is None:
            links = "".join(
                f'<p><a href="/authorize?{escape(urlencode(query | {"subject": name}))}">{escape(name)}</a></p>'
                for name in self.people
            )
            return HTMLResponse(f"<h1>Who are you?</h1>{links}")
        code = secrets.token_urlsafe()
        self._codes[code] = query | {"subject": subject}
        return RedirectResponse(f"{self.redirect_uri}?{urlencode({'code': code, 'state': query['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        client = base64.b64decode(request.headers.get("authorization", "").partition(" ")[2] or b"Og==").decode()
        authorized = self._codes.pop(str(form.get("code")), None)
        verifier = str(form.get("code_verifier", "")).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            client != f"{CLIENT_ID}:{CLIENT_SECRET}"
            or authorized is None
            or form.get("redirect_uri") != authorized["redirect_uri"]
            or challenge != authorized.get("code_challenge")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": authorized["subject"], "iat": now, "exp": now + 300}
        claims |= {"nonce": authorized["nonce"]} | self.people[authorized["subject"]] | self.claims
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
    """Serve a provider of these people until the block ends."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}", redirect_uri, people)
    server = uvicorn.Server(uvicorn.Config(provider.app(), port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, "the provider to start")
        yield provider
    finally:
        server.should_exit = True
        thread.join()
