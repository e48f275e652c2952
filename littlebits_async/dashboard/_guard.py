"""Stands before the dashboard's application, for requests and websockets alike: who may pass, and with what headers."""

import time
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._access import SESSION_LASTS, Access, cookie_in, same_origin

__all__ = ["Guard"]

_LONGEST_FORM: Final = 4096
_POLICY_VIOLATED: Final = 1008
_OTHER_NAME: Final = "Without a password, this dashboard is for the machine that it runs on, by the name localhost."
_HEADERS: Final[Mapping[str, str]] = {
    # NiceGUI's pages consist of scripts in the page, and of templates that are compiled there.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_LOGIN_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)


class Guard:
    """Lets a request pass that names one of our hosts, comes from no page elsewhere, and has logged in where it must.

    Args:
        app: What is behind.
        access: Who may pass.
        cookie: The name of the session's cookie. Browsers do not tell ports apart, so it should.
        is_secure: Whether it is served by HTTPS.
    """

    def __init__(self, app: ASGIApp, access: Access, *, cookie: str, is_secure: bool) -> None:
        self._app = app
        self._access = access
        self._cookie = cookie
        self._is_secure = is_secure
        self._login_page = (Path(__file__).parent / "login.html").read_text(encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let pass."""
        headers = Headers(scope=scope)
        if (refusal := self._refusal(headers)) is not None:
            await _refuse(refusal, scope, receive, send)
        elif self._access.needs_password and scope["type"] == "http" and scope["path"] == "/login":
            await (await self._login(scope, receive))(scope, receive, _with_headers(send))
        elif self._access.needs_password and scope["type"] == "http" and scope["path"] == "/logout":
            await self._logout(scope, headers)(scope, receive, _with_headers(send))
        elif self._is_logged_in(headers):
            await self._app(scope, self._while_logged_in(headers, receive), _with_headers(send))
        elif scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            await RedirectResponse("/login", HTTPStatus.SEE_OTHER)(scope, receive, _with_headers(send))
        else:
            await _refuse(PlainTextResponse("log in first", HTTPStatus.UNAUTHORIZED), scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.allows_host(hosts[0]):
            return PlainTextResponse(_OTHER_NAME, HTTPStatus.MISDIRECTED_REQUEST)
        origin = headers.get("origin")
        if origin is not None and not same_origin(origin, hosts[0]):
            return PlainTextResponse("not for pages of others", HTTPStatus.FORBIDDEN)
        return None

    def _is_logged_in(self, headers: Headers) -> bool:
        if not self._access.needs_password:
            return True
        return self._access.is_session(self._session_in(headers), time.monotonic())

    def _session_in(self, headers: Headers) -> str:
        return cookie_in(headers.get("cookie", ""), self._cookie)

    def _while_logged_in(self, headers: Headers, receive: Receive) -> Receive:
        """Have a websocket end with the login that it was opened by: with the next message, an answer to a ping say."""

        async def receive_while_logged_in() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._is_logged_in(headers):
                return {"type": "websocket.disconnect", "code": _POLICY_VIOLATED}
            return message

        return receive_while_logged_in

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            return self._page("", HTTPStatus.OK)
        address = (scope.get("client") or ("", 0))[0]
        now = time.monotonic()
        if (wait := self._access.guesses.wait(address, now)) > 0:
            page = self._page(f"Too many guesses. Wait {wait:.0f} s.", HTTPStatus.TOO_MANY_REQUESTS)
            page.headers["retry-after"] = f"{wait:.0f}"
            return page
        # Counted before the form is read: else many could be on their way at once.
        self._access.guesses.note_wrong(address, now)
        if not self._access.is_password(await _password_in(receive)):
            return self._page("That is not the password.", HTTPStatus.UNAUTHORIZED)
        self._access.guesses.note_right(address)
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            self._cookie,
            self._access.new_session(now),
            max_age=SESSION_LASTS,
            httponly=True,
            samesite="strict",
            secure=self._is_secure,
        )
        return answer

    def _logout(self, scope: Scope, headers: Headers) -> Response:
        answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        if scope["method"] == "POST":
            self._access.end_session(self._session_in(headers))
            answer.delete_cookie(self._cookie, httponly=True, samesite="strict", secure=self._is_secure)
        return answer

    def _page(self, message: str, status: HTTPStatus) -> Response:
        alert = f'<p role="alert" id="problem">{escape(message)}</p>' if message else ""
        page = HTMLResponse(self._login_page.replace("<!-- problem -->", alert), status)
        page.headers["content-security-policy"] = _LOGIN_POLICY
        page.headers["cache-control"] = "no-store"
        return page


async def _password_in(receive: Receive) -> str:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return ""
        body += message.get("body", b"")
        if len(body) > _LONGEST_FORM:
            return ""
        if not message.get("more_body", False):
            break
    form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return form.get("password", [""])[0]


async def _refuse(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATED})
    else:
        await refusal(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
