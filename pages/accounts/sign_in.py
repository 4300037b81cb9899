"""The routes for signing in and out: a form for people, and one for televisions that sends itself."""

import logging
import time
from math import ceil
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from metrics import clock
from pages.accounts import forms, passwords, provider
from pages.accounts.access import Access
from pages.accounts.asked import address_of, form_of, is_own, languages_of
from pages.accounts.attempts import AN_ACCOUNT, AN_ADDRESS, Attempts
from pages.accounts.errors import AccountsError
from pages.accounts.forms import Frame
from pages.accounts.sessions import COOKIE, Session
from pages.accounts.store import Account
from pages.shared import i18n

SIGN_IN, SIGN_OUT, TELEVISION = "/sign-in", "/sign-out", "/tv"
OF_A_WALL = ("by", "every", "sound", "lang")
"""What the address of a television may ask; see pages/wall/television.py."""
NEXT, PROVIDER_S = "vigie_next", 600
"""Where to go on after the provider, remembered while somebody is there."""
AT_ONCE = 2
"""Each look at a password takes 64 MiB for a moment: no more than so many at once."""

log = logging.getLogger("vigie.access")


class SignIn:
    """The routes, with what they have to remember: who tried how often."""

    def __init__(self, access: Access, base: str) -> None:
        self._access, self._base = access, base
        self._by_account, self._by_address = Attempts(AN_ACCOUNT), Attempts(AN_ADDRESS)
        self._hashing: CapacityLimiter | None = None  # belongs to the event loop that is not there yet

    def routes(self) -> list[Route]:
        return [
            Route(self._base + SIGN_IN, self.show, methods=["GET"]),
            Route(self._base + SIGN_IN, self.sign_in, methods=["POST"]),
            Route(self._base + SIGN_IN + "/provider", self.go_to_provider, methods=["GET"]),
            Route(self._base + SIGN_OUT, self.sign_out, methods=["POST"]),
            Route(self._base + TELEVISION, self.show_television, methods=["GET"]),
            Route(self._base + TELEVISION, self.television, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Draw the ways in; take who comes back from the provider in."""
        now = clock.now_s()
        frame = self._frame(request, SIGN_IN, request.query_params.get("next", ""))
        session = self._access.sessions.read(request.cookies.get(COOKIE), now)
        if session is not None and self._access.viewer_in(session) is not None:
            return self._redirect(self._base + "/")
        if session is not None and session.told is not None:
            return self._answer(frame, forms.nothing_assigned(frame, session.name))
        session = self._from_provider(request, now)
        if session is not None:
            answer = self._begin(request, session, self._inside(request.cookies.get(NEXT, "")) or self._base + "/")
            answer.delete_cookie(NEXT, path=self._base or "/")
            return answer
        return self._answer(frame, forms.sign_in(frame))

    async def go_to_provider(self, request: Request) -> Response:
        if not provider.is_configured():
            return self._redirect(self._base + SIGN_IN)
        answer = self._redirect(provider.login_address())
        next = self._inside(request.query_params.get("next", ""))
        self._set_cookie(request, answer, NEXT, next, PROVIDER_S)
        return answer

    async def sign_in(self, request: Request) -> Response:
        said = await form_of(request)
        frame = self._frame(request, SIGN_IN, said.get("next", ""))
        _ = frame.text.gettext
        if not is_own(request):
            return self._refuse_foreign(frame)
        name, password = said.get("name", "").strip().casefold()[:64], said.get("password", "")
        address, now = address_of(request), time.monotonic()
        wait_s = max(self._by_account.wait_s(name, now), self._by_address.wait_s(address, now))
        if wait_s:
            log.warning("sign-in of %s from %s: too many attempts", self._known(name), address)
            page = forms.sign_in(frame, name=name, wrong=self._too_many(frame, wait_s))
            return self._answer(frame, page, 429, wait_s)
        self._by_account.add(name, now)
        self._by_address.add(address, now)
        account = self._person(name)
        if not await self._is_right(account, password):
            log.warning("sign-in of %s from %s: wrong", self._known(name), address)
            wrong = _("The user name or password is wrong.")
            return self._answer(frame, forms.sign_in(frame, name=name, wrong=wrong), 403)
        assert account is not None
        self._by_account.forgive(name, all=True)
        self._by_address.forgive(address)
        log.info("sign-in of %s from %s: in, as %s", account.name, address, account.role)
        return self._begin(request, self._begun(account), frame.next or self._base + "/")

    async def sign_out(self, request: Request) -> Response:
        """End the session: in this browser, in its other tabs, and wherever else its cookie may have come."""
        frame = self._frame(request, SIGN_IN)
        if not is_own(request):
            return self._refuse_foreign(frame)
        session = self._access.sessions.read(request.cookies.get(COOKIE), clock.now_s())
        if session is not None:
            self._access.sessions.end(session, clock.now_s())
            log.info("sign-out of %s from %s", session.name, address_of(request))
        if session is not None and session.told is not None:
            # Streamlit forgets the provider's word there, and leads on to the provider. By a page, not by a redirect:
            # the page where somebody signed out, which is cut off now and loaded anew, must be gone before.
            to = f"{self._base}/auth/logout"
            answer = self._answer(frame, forms.leaving(frame, to))
            answer.headers["Refresh"] = f"0; url={to}"
        else:
            answer = self._redirect(self._base + SIGN_IN)
        answer.delete_cookie(COOKIE, path=self._base or "/")
        return answer

    async def show_television(self, request: Request) -> Response:
        frame = self._frame(request, TELEVISION)
        return self._answer(frame, forms.television(frame))

    async def television(self, request: Request) -> Response:
        """Exchange a television's token for a session, so that the token stays in no address and no log."""
        said = await form_of(request)
        frame = self._frame(request, TELEVISION)
        _ = frame.text.gettext
        if not is_own(request):
            return self._refuse_foreign(frame)
        address, now = address_of(request), time.monotonic()
        if wait_s := self._by_address.wait_s(address, now):
            log.warning("television from %s: too many attempts", address)
            page = forms.television(frame, wrong=self._too_many(frame, wait_s))
            return self._answer(frame, page, 429, wait_s)
        account = self._screen(said.get("token", ""))
        if account is None:
            self._by_address.add(address, now)
            log.warning("television from %s: no such token", address)
            wrong = _("This token is not known, or was revoked.")
            return self._answer(frame, forms.television(frame, wrong=wrong), 403)
        log.info("television %s from %s: in", account.name, address)
        wanted = {name: request.query_params[name] for name in OF_A_WALL if name in request.query_params}
        return self._begin(request, self._begun(account), f"{self._base}/wallboard?{urlencode({'tv': '1', **wanted})}")

    def _from_provider(self, request: Request, now: float) -> Session | None:
        configuration = self._access.configuration() if provider.is_configured() else None
        session = provider.session_of(request.cookies, configuration, now) if configuration else None
        if session is None or self._access.sessions.is_ended(session.id):
            return None
        viewer = self._access.viewer_in(session)
        as_whom = f"in, as {viewer.role}" if viewer else "nothing is assigned"
        log.info("sign-in of %s by the provider from %s: %s", session.name, address_of(request), as_whom)
        return session

    def _accounts(self) -> dict[str, Account]:
        try:
            return self._access.accounts.all()
        except AccountsError as error:
            log.error(error)
            return {}

    def _person(self, name: str) -> Account | None:
        account = self._accounts().get(name)
        return account if account is not None and account.role != "television" else None

    def _screen(self, token: str) -> Account | None:
        screens = [one for one in self._accounts().values() if one.role == "television"]
        found = [one for one in screens if passwords.is_token(one.proof, token)]
        return found[0] if found else None

    def _known(self, name: str) -> str:
        """Return the name for the log; what is no account's name may be a password in the wrong field."""
        return name if self._person(name) else "an unknown name"

    async def _is_right(self, account: Account | None, password: str) -> bool:
        if self._hashing is None:
            self._hashing = CapacityLimiter(AT_ONCE)
        proof = account.proof if account else None
        return await to_thread.run_sync(passwords.is_right, proof, password, limiter=self._hashing)

    def _begun(self, account: Account) -> Session:
        return self._access.sessions.begin(account, clock.now_s())

    def _begin(self, request: Request, session: Session, to: str) -> Response:
        answer = self._redirect(to)
        self._set_cookie(
            request, answer, COOKIE, self._access.sessions.cookie(session), session.until - int(clock.now_s())
        )
        return answer

    def _set_cookie(self, request: Request, answer: Response, name: str, value: str, lasts_s: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=lasts_s,
            path=self._base or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",  # a link in a mail opens its page; a form elsewhere does nothing here
        )

    def _refuse_foreign(self, frame: Frame) -> Response:
        _ = frame.text.gettext
        return self._answer(frame, forms.refused(frame, _("This was sent by another page, so nothing was done.")), 403)

    def _too_many(self, frame: Frame, wait_s: float) -> str:
        _ = frame.text.gettext
        return _("Too many attempts. Try again in {wait}.").format(wait=frame.text.age(ceil(wait_s)))

    def _frame(self, request: Request, path: str, next: str = "") -> Frame:
        asked = request.query_params.get("lang", "")
        wishes = (asked, request.cookies.get(i18n.COOKIE), *languages_of(request))
        asked = asked if asked in i18n.LANGUAGES else ""
        by_password = any(one.role != "television" for one in self._accounts().values())
        text = i18n.text(i18n.choose(wishes))
        return Frame(text, self._base, path, self._inside(next), asked, provider.is_configured(), by_password)

    def _inside(self, next: str) -> str:
        """Return where to go on after signing in, when that is a page of this dashboard."""
        inside = next.startswith(self._base + "/") and next.isascii() and next.isprintable() and len(next) <= 2000
        return next if inside and not next.startswith("//") and "\\" not in next else ""

    def _answer(self, frame: Frame, page: str, status: int = 200, wait_s: float = 0.0) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": forms.policy(self._base, frame.by_provider),
            "Content-Language": frame.text.language,
            "Referrer-Policy": "same-origin",  # a stricter one would take the form its Origin
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        if wait_s:
            headers["Retry-After"] = str(ceil(wait_s))
        answer = HTMLResponse(page, status, headers)
        if frame.asked:  # chosen here, so the pages that follow are in it too
            answer.set_cookie(i18n.COOKIE, frame.asked, max_age=i18n.YEAR_S, path=self._base or "/", samesite="lax")
        return answer

    def _redirect(self, to: str) -> Response:
        return RedirectResponse(to, 303, {"Cache-Control": "no-store"})
