"""Users prove who they are, once a link; after failed logins the next attempts wait before they are looked at."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import Attempt, LoginBackoff
from sipmesh.routing.authentication.digest import Authentication, Challenge, Proved, authenticate
from sipmesh.server.proxy.login_failures import FailedLogin, LoginFailures, flaw_class
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.names import bits_of
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.routing.identity.dialog_token import Tokens
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.home_pools import HomePools
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.digest import Nonces

ENTROPY_BYTES: Final = 16
MOST_WAITING_BODY: Final = 16_384
"""Octets of a body that a request may have whose credentials wait; a REGISTER has none."""

TOO_MANY: Final = "too many failed logins on this link"
CREDENTIALS: Final = bits_of("authorization", "proxy-authorization")


class DigestAuth:
    """The logins of one server."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        homes: HomePools,
        nonces: Nonces,
        tokens: Tokens,
        failures: LoginBackoff,
        flow_table: FlowTable,
        accounts: Principals,
        log: LimitedLog,
    ) -> None:
        self._loop, self.homes, self._nonces, self._failures = loop, homes, nonces, failures
        self._tokens = tokens
        self._flow_table, self._accounts, self._log = flow_table, accounts, log
        self._waiting: dict[Attempt, tuple[Flow, Callable[[], None]]] = {}
        self.remembered = LoginFailures()
        self.succeeded = 0
        self.failed: Counter[str] = Counter()  # by class of the flaw

    def __repr__(self) -> str:
        return f"<DigestAuth of {self.homes!r}, {self._failures!r}>"

    @property
    def ready(self) -> bool:
        """Whether it is known who the users are."""
        return self.homes.ready

    def waits(
        self, flow: Flow, request: Request, aor: str, go_on: Callable[[], None], give_up: Callable[[], None]
    ) -> bool:
        """Let an attempt to log in as *aor* wait for as long as failures before it cost; False if it may go on at once.

        Calls *go_on* when its time is over, or *give_up* where there is no place for it, or a newer attempt takes it. A link
        that has failed too often is closed; one on which a user is logged in stays, and waits.
        """
        if not request.present & CREDENTIALS:
            return False
        asked, now = self._attempt(flow, aor), self._loop.time()
        if not flow.users and self._failures.is_closed_to(asked, now):
            flow.link.close(TOO_MANY)
            return True
        delay_s = self._failures.delay_s(asked, now)
        if delay_s == 0:
            return False
        if len(request.body) > MOST_WAITING_BODY:
            give_up()
            return True
        for displaced in self._failures.wait(asked):
            self._give_up(*self._waiting.pop(displaced))
        self._waiting[asked] = flow, give_up
        self._accounts.set_aside(flow)
        self._loop.call_later(delay_s, self._go_on, asked, go_on)
        return True

    def _give_up(self, flow: Flow, give_up: Callable[[], None]) -> None:
        """End the wait of an attempt whose place a newer one has taken."""
        self._accounts.take_back(flow)
        give_up()

    def _go_on(self, asked: Attempt, go_on: Callable[[], None]) -> None:
        """End the wait of an attempt that has not given way meanwhile, and whose link is still up."""
        if self._failures.waited(asked):
            flow, _ = self._waiting.pop(asked)
            self._accounts.take_back(flow)
            go_on()

    @staticmethod
    def _attempt(flow: Flow, aor: str) -> Attempt:
        return Attempt(str(flow.number), flow.link.remote[0], aor)

    def check(self, flow: Flow, request: Request, aor: str) -> Authentication:
        """Look at the credentials of *request*; a link that has proved *aor* is not asked again (rule R10)."""
        entropy = os.urandom(ENTROPY_BYTES)
        verifier, link = self.homes.verifier(aor), flow.number
        likeness = 0 if verifier is not None else self._tokens.name_hash(f"like {aor}")[0]
        at = time.time()
        result = authenticate(request, aor, verifier, self._nonces, link, at=at, entropy=entropy, likeness=likeness)
        if isinstance(result, Proved):
            flow.proved(result.aor, result.generation)
            self._flow_table.owned(flow, result.aor)
            self._accounts.proved(flow, result.aor)
            self._failures.proved(str(flow.number))
            self.succeeded += 1
        return result

    def answer(
        self, flow: Flow, request: Request, aor: str, result: Authentication, reply: Callable[[Response], None]
    ) -> None:
        """Answer a request whose sender has not proved who it is, and count it if it has failed to."""
        if isinstance(result, Challenge):
            if result.flaw and self._failed(flow, request, aor, result.flaw):
                flow.link.close(TOO_MANY)
            else:
                reply(respond(request, result.status, headers=result.headers))
        elif not isinstance(result, Proved):
            self._remember(flow, request, aor, f"malformed: {result.reason}", closes=False)
            reply(respond(request, result.status, result.reason))

    def _remember(self, flow: Flow, request: Request, aor: str, flaw: str, *, closes: bool) -> None:
        """Keep a failed login for whoever asks why this user cannot log in."""
        known = self.homes.of(aor) is not None
        agent = request.first("user-agent") or ""
        self.failed[flaw_class(flaw)] += 1
        self.remembered.record(FailedLogin(aor, known, flaw, flow.link.remote[0], agent, closes), time.time())

    def _failed(self, flow: Flow, request: Request, aor: str, flaw: str) -> bool:
        """Count a failed login; True if its link is to be closed, on which nobody is logged in."""
        closes = self._failures.failed(self._attempt(flow, aor), self._loop.time()) and not flow.users
        home = self.homes.elsewhere(aor)
        if home:
            flaw = f"its home pool is {home}: the phone must log in at a server of that pool"
        self._remember(flow, request, aor, flaw, closes=closes)
        self._log.warning(
            flow.account.name,
            "login failed",
            link=flow.link.id,
            remote=flow.link.remote[0],
            user=aor,
            flaw=flaw,
            code=Code.OTHER_HOME if home else Code.NOT_AUTHENTICATED,
            closes=closes,
        )
        return closes

    def gone(self, flow: Flow) -> None:
        """Forget a link that has closed, and its attempts that wait."""
        link = str(flow.number)
        for asked in self._failures.waiting_of_links.of(link):
            self._waiting.pop(asked, None)
        self._failures.gone(link)

    def close_changed(self, changed: frozenset[str] | None = None) -> list[str]:
        """Close the links of users whose password has changed, who have moved or who are gone; returns their ids.

        *changed* are the addresses to look at; None means all, after a change of the topology.
        """
        closed = []
        for flow in self._flow_table.sessions():
            concerned = flow.users if changed is None else changed & flow.users
            if any(self._outdated(flow, aor) for aor in concerned):
                flow.link.close("the user was removed, was moved to another pool, or has a new password")
                closed.append(flow.link.id)
        return closed

    def _outdated(self, flow: Flow, aor: str) -> bool:
        verifier = self.homes.verifier(aor)
        return verifier is None or verifier.generation != flow.generations.get(aor)
