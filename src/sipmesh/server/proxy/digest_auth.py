"""Users prove who they are, once a link; after failed logins the next attempts wait before they are looked at."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import Attempt, Failures
from sipmesh.routing.authentication.digest import Authentication, Challenge, Proved, authenticate
from sipmesh.server.proxy.login_failures import FailedLogin, LoginFailures, flaw_class
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.names import bits_of
from sipmesh.trust.verdict import Code

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.routing.identity.dialog_token import Tokens
    from sipmesh.server.proxy.flow import Session
    from sipmesh.server.proxy.flow_table import Reach
    from sipmesh.server.proxy.home_pools import Homes
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Accounts
    from sipmesh.sip.digest import Nonces

ENTROPY_BYTES: Final = 16
MOST_WAITING_BODY: Final = 16_384
"""Octets of a body that a request may have whose credentials wait; a REGISTER has none."""

TOO_MANY: Final = "too many failed logins on this link"
CREDENTIALS: Final = bits_of("authorization", "proxy-authorization")


class Logins:
    """The logins of one server."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        homes: Homes,
        nonces: Nonces,
        tokens: Tokens,
        failures: Failures,
        reach: Reach,
        accounts: Accounts,
        log: LimitedLog,
    ) -> None:
        self._loop, self.homes, self._nonces, self._failures = loop, homes, nonces, failures
        self._tokens = tokens
        self._reach, self._accounts, self._log = reach, accounts, log
        self._waiting: dict[Attempt, tuple[Session, Callable[[], None]]] = {}
        self.remembered = LoginFailures()
        self.succeeded = 0
        self.failed: Counter[str] = Counter()  # by class of the flaw

    def __repr__(self) -> str:
        return f"<Logins of {self.homes!r}, {self._failures!r}>"

    @property
    def ready(self) -> bool:
        """Whether it is known who the users are."""
        return self.homes.ready

    def waits(
        self, session: Session, request: Request, aor: str, go_on: Callable[[], None], give_up: Callable[[], None]
    ) -> bool:
        """Let an attempt to log in as *aor* wait for as long as failures before it cost; False if it may go on at once.

        Calls *go_on* when its time is over, or *give_up* where there is no place for it, or a newer attempt takes it. A link
        that has failed too often is closed; one on which a user is logged in stays, and waits.
        """
        if not request.present & CREDENTIALS:
            return False
        asked, now = self._attempt(session, aor), self._loop.time()
        if not session.users and self._failures.is_closed_to(asked, now):
            session.link.close(TOO_MANY)
            return True
        delay_s = self._failures.delay_s(asked, now)
        if delay_s == 0:
            return False
        if len(request.body) > MOST_WAITING_BODY:
            give_up()
            return True
        for displaced in self._failures.wait(asked):
            self._give_up(*self._waiting.pop(displaced))
        self._waiting[asked] = session, give_up
        self._accounts.set_aside(session)
        self._loop.call_later(delay_s, self._go_on, asked, go_on)
        return True

    def _give_up(self, session: Session, give_up: Callable[[], None]) -> None:
        """End the wait of an attempt whose place a newer one has taken."""
        self._accounts.take_back(session)
        give_up()

    def _go_on(self, asked: Attempt, go_on: Callable[[], None]) -> None:
        """End the wait of an attempt that has not given way meanwhile, and whose link is still up."""
        if self._failures.waited(asked):
            session, _ = self._waiting.pop(asked)
            self._accounts.take_back(session)
            go_on()

    @staticmethod
    def _attempt(session: Session, aor: str) -> Attempt:
        return Attempt(str(session.number), session.link.remote[0], aor)

    def check(self, session: Session, request: Request, aor: str) -> Authentication:
        """Look at the credentials of *request*; a link that has proved *aor* is not asked again (rule R10)."""
        entropy = os.urandom(ENTROPY_BYTES)
        verifier, link = self.homes.verifier(aor), session.number
        likeness = 0 if verifier is not None else self._tokens.name_hash(f"like {aor}")[0]
        at = time.time()
        result = authenticate(request, aor, verifier, self._nonces, link, at=at, entropy=entropy, likeness=likeness)
        if isinstance(result, Proved):
            session.proved(result.aor, result.generation)
            self._reach.owned(session, result.aor)
            self._accounts.proved(session, result.aor)
            self._failures.proved(str(session.number))
            self.succeeded += 1
        return result

    def answer(
        self, session: Session, request: Request, aor: str, result: Authentication, reply: Callable[[Response], None]
    ) -> None:
        """Answer a request whose sender has not proved who it is, and count it if it has failed to."""
        if isinstance(result, Challenge):
            if result.flaw and self._failed(session, request, aor, result.flaw):
                session.link.close(TOO_MANY)
            else:
                reply(respond(request, result.status, headers=result.headers))
        elif not isinstance(result, Proved):
            self._remember(session, request, aor, f"malformed: {result.reason}", closes=False)
            reply(respond(request, result.status, result.reason))

    def _remember(self, session: Session, request: Request, aor: str, flaw: str, *, closes: bool) -> None:
        """Keep a failed login for whoever asks why this user cannot log in."""
        known = self.homes.of(aor) is not None
        agent = request.first("user-agent") or ""
        self.failed[flaw_class(flaw)] += 1
        self.remembered.record(FailedLogin(aor, known, flaw, session.link.remote[0], agent, closes), time.time())

    def _failed(self, session: Session, request: Request, aor: str, flaw: str) -> bool:
        """Count a failed login; True if its link is to be closed, on which nobody is logged in."""
        closes = self._failures.failed(self._attempt(session, aor), self._loop.time()) and not session.users
        home = self.homes.elsewhere(aor)
        if home:
            flaw = f"at home in {home}: the phone has to log in at a server of that pool"
        self._remember(session, request, aor, flaw, closes=closes)
        self._log.warning(
            session.account.name,
            "login failed",
            link=session.link.id,
            remote=session.link.remote[0],
            user=aor,
            flaw=flaw,
            code=Code.OTHER_HOME if home else Code.NOT_AUTHENTICATED,
            closes=closes,
        )
        return closes

    def gone(self, session: Session) -> None:
        """Forget a link that has closed, and its attempts that wait."""
        link = str(session.number)
        for asked in self._failures.waiting_of_links.of(link):
            self._waiting.pop(asked, None)
        self._failures.gone(link)

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
