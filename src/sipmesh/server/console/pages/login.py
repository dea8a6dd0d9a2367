"""The log-in and the log-out of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sipmesh.server.console.access.guard import COOKIE, FORM_FIELD, form_of, must_come_from_our_pages
from sipmesh.server.console.pages.frame import LOGIN, see

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame


class LoginPages:
    """Begins and ends sessions."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._guard = frame, frame.guard

    def __repr__(self) -> str:
        return f"<LoginPages of {self._guard!r}>"

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get(LOGIN, self._login_form),
            web.post(LOGIN, self._log_in),
            web.post("/logout", self._log_out),
        ]

    async def _login_form(self, request: web.Request) -> web.Response:
        return self._frame.render(request, "login.html", {"failed": False})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        """Begin a session with a code. The code is in the body, so it is in no URL and in no log of one."""
        self._guard.must_have_failures_left(request)
        code = (await form_of(request)).get("code", "").strip(" ")
        secret = self._guard.operators.log_in(code)
        if secret is None:
            self._guard.failed(request)
            return self._frame.render(request, "login.html", {"failed": True}, status=401)
        answer = see("/")
        begin_session(answer, secret)
        return answer

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        if self._guard.identify(request) is not None:
            must_come_from_our_pages(request, (await form_of(request)).get(FORM_FIELD, ""))
            self._guard.operators.log_out(request.cookies.get(COOKIE, ""))
        answer = see(LOGIN)
        answer.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return answer


def begin_session(answer: web.Response, secret: str) -> None:
    """Give the browser the *secret* of its session, in a cookie that no script reads and no other site sends."""
    answer.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="Strict")
