"""The routes for signing in and out: a form for people, and one for televisions, which sends itself."""

import logging
import time
from functools import partial
from math import ceil
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from metrics import clock
from metrics.audit.trail import AuditError, Kind
from pages.accounts import forms, passwords, provider
from pages.accounts.access import Access
from pages.accounts.attempts import PER_ACCOUNT, PER_ADDRESS, Attempts
from pages.accounts.forms import Frame
from pages.accounts.request import address_of, form_of, is_own, languages_of
from pages.accounts.sessions import COOKIE, Session
from pages.accounts.store import Account
from pages.shared import i18n

SIGN_IN, SIGN_OUT, TELEVISION = "/sign-in", "/sign-out", "/tv"
WALL_PARAMETERS = ("by", "every", "sound", "lang")
"""The parameters that a television's address may have; see pages/wall/television.py."""
NEXT, PROVIDER_S = "vigie_next", 600
"""The cookie with the page to open after signing in at the provider, and its lifetime [s]."""
AT_ONCE = 2
"""Check at most this many passwords at once: each check takes 64 MiB for a moment."""
MOST_WAITING, BUSY_S = 30, 5
"""While this many wait for that, some seconds long, others are told to come back after BUSY_S."""

log = logging.getLogger("vigie.access")


class SignIn:
    """The routes, and the attempts that they count."""

    def __init__(self, access: Access, base: str) -> None:
        self._access, self._base = access, base
        self._by_account, self._by_address = Attempts(PER_ACCOUNT), Attempts(PER_ADDRESS)
        self._hashing: CapacityLimiter | None = None  # made later, because the event loop is not running yet

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
        """Draw the ways to sign in. Begin the session of a person who comes back from the provider."""
        now = clock.now_s()
        frame = self._frame(request, SIGN_IN, request.query_params.get("next", ""))
        session = self._access.sessions.read(request.cookies.get(COOKIE), now)
        if session is not None and self._access.viewer_in(session) is not None:
            return self._redirect(self._base + "/")
        if session is not None and session.claims is not None:
            return self._answer(frame, forms.nothing_assigned(frame, session.name))
        session = await self._from_provider(request, now)
        if session is not None:
            answer = self._enter(request, session, self._inside(request.cookies.get(NEXT, "")) or self._base + "/")
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
        fields = await form_of(request)
        frame = self._frame(request, SIGN_IN, fields.get("next", ""))
        _ = frame.text.gettext
        if not is_own(request):
            return await self._refuse_foreign(request, frame)
        name, password = fields.get("name", "").strip().casefold()[:64], fields.get("password", "")
        address, now = address_of(request), time.monotonic()
        here = f"{name} {address}"  # by both: a stranger elsewhere cannot lock anybody out
        wait_s = max(self._by_account.wait_s(here, now), self._by_address.wait_s(address, now))
        if wait_s:
            await self._note_refusal(request, self._name_to_log(name), "too many attempts")
            page = forms.sign_in(frame, name=name, wrong=self._too_many(frame, wait_s))
            return self._answer(frame, page, 429, wait_s)
        if self._is_busy():
            await self._note_refusal(request, self._name_to_log(name), "too many passwords are being checked")
            wrong = _("Very many people are signing in. Try again in a few seconds.")
            return self._answer(frame, forms.sign_in(frame, name=name, wrong=wrong), 503, BUSY_S)
        self._by_account.add(here, now)
        self._by_address.add(address, now)
        account = self._person(name)
        if not await self._is_right(account, password):
            await self._note_refusal(request, self._name_to_log(name), "wrong name or password")
            wrong = _("The user name or password is wrong.")
            return self._answer(frame, forms.sign_in(frame, name=name, wrong=wrong), 403)
        assert account is not None
        self._by_account.forgive(here, all=True)
        self._by_address.forgive(address)
        log.info("sign-in of %s from %s: accepted as %s", account.name, address, account.role)
        await self._note("sign-in", request, account.name, account.role)
        return self._enter(request, self._new_session(account), frame.next or self._base + "/")

    async def sign_out(self, request: Request) -> Response:
        """End the session: in this browser, in its other tabs, and wherever else its cookie may be."""
        frame = self._frame(request, SIGN_IN)
        if not is_own(request):
            return await self._refuse_foreign(request, frame)
        session = self._access.sessions.read(request.cookies.get(COOKIE), clock.now_s())
        if session is not None:
            self._access.sessions.end(session, clock.now_s())
            log.info("sign-out of %s from %s", session.name, address_of(request))
            await self._note("sign-out", request, session.name, "")
        if session is not None and session.claims is not None:
            # Streamlit deletes its cookie at this address, and redirects to the provider. Go there by a page and not by
            # a redirect: the gate is about to reload the page where somebody signed out, so it must be gone by then.
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
        """Exchange a television's token for a session, so that the token is in no address and no log."""
        fields = await form_of(request)
        frame = self._frame(request, TELEVISION)
        _ = frame.text.gettext
        if not is_own(request):
            return await self._refuse_foreign(request, frame)
        address, now = address_of(request), time.monotonic()
        if wait_s := self._by_address.wait_s(address, now):
            await self._note_refusal(request, "a television", "too many attempts")
            page = forms.television(frame, wrong=self._too_many(frame, wait_s))
            return self._answer(frame, page, 429, wait_s)
        account = self._access.screen(fields.get("token", ""))
        if account is None:
            self._by_address.add(address, now)
            await self._note_refusal(request, "a television", "no such token")
            wrong = _("This token is not known, or was revoked.")
            return self._answer(frame, forms.television(frame, wrong=wrong), 403)
        log.info("television %s from %s: accepted", account.name, address)
        await self._note("sign-in", request, account.name, account.role)
        params = {name: request.query_params[name] for name in WALL_PARAMETERS if name in request.query_params}
        wall = f"{self._base}/wallboard?{urlencode({'tv': '1', **params})}"
        return self._enter(request, self._new_session(account), wall)

    async def _from_provider(self, request: Request, now: float) -> Session | None:
        configuration = self._access.configuration() if provider.is_configured() else None
        session = provider.session_of(request.cookies, configuration, now) if configuration else None
        if session is None or self._access.sessions.is_ended(session.id):
            return None
        viewer = self._access.viewer_in(session)
        result = f"accepted as {viewer.role}" if viewer else "nothing is assigned"
        log.info("sign-in of %s through the provider from %s: %s", session.name, address_of(request), result)
        if viewer:
            await self._note("sign-in", request, session.name, viewer.role)
        else:
            await self._note_refusal(request, session.name, "nothing is assigned")
        return session

    def _person(self, name: str) -> Account | None:
        account = self._access.all_accounts().get(name)
        return account if account is not None and account.role != "television" else None

    def _name_to_log(self, name: str) -> str:
        """Return the name if there is such an account. Anything else may be a password, typed into the wrong field."""
        return name if self._person(name) else "an unknown name"

    async def _is_right(self, account: Account | None, password: str) -> bool:
        if self._hashing is None:
            self._hashing = CapacityLimiter(AT_ONCE)
        proof = account.proof if account else None
        return await to_thread.run_sync(passwords.is_right, proof, password, limiter=self._hashing)

    def _is_busy(self) -> bool:
        """Whether so many passwords wait to be checked that the next person had better come back."""
        return self._hashing is not None and self._hashing.statistics().tasks_waiting >= MOST_WAITING

    def _new_session(self, account: Account) -> Session:
        return self._access.sessions.begin(account, clock.now_s())

    def _enter(self, request: Request, session: Session, to: str) -> Response:
        """Set the session's cookie and redirect to a page."""
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
            samesite="lax",  # sent with a link in a mail, but not with a form on another site
        )

    async def _note(self, kind: Kind, request: Request, who: str, what: str) -> None:
        """Write an entry into the audit trail. People get in even if that fails: a full disk must not dim the walls."""
        entry = partial(
            self._access.audit.append, kind, who=who, address=address_of(request), what=what, at=clock.now_s()
        )
        try:
            await to_thread.run_sync(entry)
        except AuditError as error:
            log.error("%s of %s is not in the audit trail: %s", kind, who, error)

    async def _note_refusal(self, request: Request, who: str, why: str) -> None:
        """Count a refusal in the audit trail, and log the first of its kind in an hour: strangers try without end."""
        address = address_of(request)
        count = partial(self._access.audit.count_refusal, who=who, address=address, what=why, at=clock.now_s())
        try:
            is_first = await to_thread.run_sync(count)
        except AuditError as error:
            log.error("a refusal is not in the audit trail: %s", error)
            is_first = True
        if is_first:
            log.warning("sign-in of %s from %s: %s", who, address, why)

    async def _refuse_foreign(self, request: Request, frame: Frame) -> Response:
        _ = frame.text.gettext
        await self._note_refusal(request, "an unknown name", "sent by another page")
        return self._answer(frame, forms.refused(frame, _("This was sent by another page, so nothing was done.")), 403)

    def _too_many(self, frame: Frame, wait_s: float) -> str:
        _ = frame.text.gettext
        return _("Too many attempts. Try again in {wait}.").format(wait=frame.text.age(ceil(wait_s)))

    def _frame(self, request: Request, path: str, next: str = "") -> Frame:
        in_address = request.query_params.get("lang", "")
        wishes = (in_address, request.cookies.get(i18n.COOKIE), *languages_of(request))
        chosen = in_address if in_address in i18n.LANGUAGES else ""
        by_password = any(account.role != "television" for account in self._access.all_accounts().values())
        text = i18n.text(i18n.choose(wishes))
        return Frame(text, self._base, path, self._inside(next), chosen, provider.is_configured(), by_password)

    def _inside(self, next: str) -> str:
        """Return the address to open after signing in if it is a page of this dashboard, else an empty string."""
        inside = next.startswith(self._base + "/") and next.isascii() and next.isprintable() and len(next) <= 2000
        return next if inside and not next.startswith("//") and "\\" not in next else ""

    def _answer(self, frame: Frame, page: str, status: int = 200, wait_s: float = 0.0) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": forms.policy(self._base, frame.by_provider),
            "Content-Language": frame.text.language,
        }
        if wait_s:
            headers["Retry-After"] = str(ceil(wait_s))
        answer = HTMLResponse(page, status, headers)
        if frame.chosen:  # the pages after signing in are in this language, too
            answer.set_cookie(i18n.COOKIE, frame.chosen, max_age=i18n.YEAR_S, path=self._base or "/", samesite="lax")
        return answer

    def _redirect(self, to: str) -> Response:
        return RedirectResponse(to, 303, {"Cache-Control": "no-store"})
