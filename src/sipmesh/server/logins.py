"""Users prove who they are, once a link; failed logins are counted, slowed down and in the end shut out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication import Authentication, Challenge, Proved, authenticate
from sipmesh.routing.failures import Failures
from sipmesh.server.login_failures import FailedLogin, LoginFailures, flaw_class
from sipmesh.sip.message import Request, Response, respond

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.server.homes import Homes
    from sipmesh.server.log import Log
    from sipmesh.server.reach import Reach
    from sipmesh.server.session import Session
    from sipmesh.sip.digest import Nonces

ENTROPY_BYTES: Final = 16


class Logins:
    """The logins of one server."""

    def __init__(
        self, loop: AbstractEventLoop, homes: Homes, nonces: Nonces, failures: Failures, reach: Reach, log: Log
    ) -> None:
        self._loop, self.homes, self._nonces, self._failures = loop, homes, nonces, failures
        self._reach, self._log = reach, log
        self.remembered = LoginFailures()
        self.succeeded = 0
        self.failed: Counter[str] = Counter()  # by class of the flaw

    def __repr__(self) -> str:
        return f"<Logins of {self.homes!r}, {self._failures!r}>"

    @property
    def ready(self) -> bool:
        """Whether it is known who the users are."""
        return self.homes.ready

    def is_shut_out(self, session: Session) -> bool:
        """Tell whether a link comes from where so many logins have failed that none is heard any more."""
        return not session.users and self._failures.is_closed_to(session.link.remote[0], self._loop.time())

    def check(self, session: Session, request: Request, aor: str) -> Authentication:
        """Look at the credentials of *request*; a link that has proved *aor* is not asked again (rule R10)."""
        entropy = os.urandom(ENTROPY_BYTES)
        verifier, link = self.homes.verifier(aor), session.number
        result = authenticate(request, aor, verifier, self._nonces, link, at=time.time(), entropy=entropy)
        if isinstance(result, Proved):
            session.proved(result.aor, result.generation)
            self._reach.owned(session, result.aor)
            self._failures.proved(session.number, result.aor)
            self.succeeded += 1
        return result

    def answer(
        self, session: Session, request: Request, aor: str, result: Authentication, reply: Callable[[Response], None]
    ) -> None:
        """Answer a request whose sender has not proved who it is: at once, later, or with the end of the link."""
        if isinstance(result, Challenge):
            response = respond(request, result.status, headers=result.headers)
            if result.flaw:
                self._failed(session, request, aor, result.flaw, lambda: reply(response))
                return
            reply(response)
        elif not isinstance(result, Proved):
            self._remember(session, request, aor, f"malformed: {result.reason}", closes=False)
            reply(respond(request, result.status, result.reason))

    def _remember(self, session: Session, request: Request, aor: str, flaw: str, *, closes: bool) -> None:
        """Keep a failed login for whoever asks why this user cannot log in."""
        if home := self.homes.elsewhere(aor):
            flaw = f"at home in {home}: the phone has to log in at a server of that pool"
        known = self.homes.of(aor) is not None
        agent = request.first("user-agent") or ""
        self.failed[flaw_class(flaw)] += 1
        self.remembered.record(FailedLogin(aor, known, flaw, session.link.remote[0], agent, closes), time.time())

    def _failed(self, session: Session, request: Request, aor: str, flaw: str, reply: Callable[[], None]) -> None:
        """Count a failed login and let it cost what it costs."""
        penalty = self._failures.failed(session.number, session.link.remote[0], aor, self._loop.time())
        self._remember(session, request, aor, flaw, closes=penalty.close)
        self._log.warning(
            "login failed",
            link=session.link.id,
            remote=session.link.remote[0],
            user=aor,
            flaw=flaw,
            code="not-authenticated",
            delay_s=penalty.delay_s,
            closes=penalty.close,
        )
        if penalty.close:
            session.link.close(f"too many failed logins: {penalty.why}")
        elif penalty.delay_s:
            self._loop.call_later(penalty.delay_s, reply)
        else:
            reply()

    def gone(self, session: Session) -> None:
        """Forget a link that has closed."""
        self._failures.gone(session.number)

    def close_changed(self, changed: frozenset[str] | None = None) -> list[str]:
        """Close the links of users whose password has changed, who have moved or who are gone; returns their ids.

        *changed* are the addresses to look at; None means all, after a change of the topology.
        """
        closed = []
        for session in self._reach.sessions():
            concerned = session.users if changed is None else changed & session.users
            if any(self._outdated(session, aor) for aor in concerned):
                session.link.close("the user was removed, was moved to another pool, or has a new password")
                closed.append(session.link.id)
        return closed

    def _outdated(self, session: Session, aor: str) -> bool:
        verifier = self.homes.verifier(aor)
        return verifier is None or verifier.generation != session.generations.get(aor)
