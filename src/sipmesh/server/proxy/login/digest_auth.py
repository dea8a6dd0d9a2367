"""Logins: a user proves the password once for each link, by digest. A device certificate or an access token needs no password."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.digest import Authentication, Challenge, Proved, Refused, authenticate
from sipmesh.routing.authentication.digest_sets import of_nobody
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.proxy.login.login_failures import (
    LONGEST_AGENT,
    LONGEST_USER,
    FailedLogin,
    LoginFailures,
    flaw_class,
)
from sipmesh.server.proxy.login.login_history import CERTIFICATE, TOKEN, LoginAttempt, LoginHistory
from sipmesh.server.proxy.login.login_waits import TOO_MANY, attempt_of
from sipmesh.sip.bearer import bearer_challenge, bearer_of
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from sipmesh.routing.authentication.backoff import LoginBackoff
    from sipmesh.routing.authentication.digest_sets import Kind
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import ChallengedLogin, Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.login.bearer_auth import BearerAuth
    from sipmesh.server.proxy.login.moved_logins import MovedLogins
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.digest import Algorithm, Nonces

ENTROPY_BYTES: Final = 8
MOST_RANDOM: Final = 64
NO_SUCH_USER: Final = "the user of the device is removed, or has another home pool"
DISABLED: Final = "the user of the device is disabled"
OFFERED: Final = re.compile("algorithm=([A-Za-z0-9-]+)")


class DigestAuth:
    """The logins on one server. A user who is no longer served on a link loses its *registrations* there."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        current: Current,
        nonces: Nonces,
        tokens: Tokens,
        failures: LoginBackoff,
        flow_table: FlowTable,
        accounts: Principals,
        log: LimitedLog,
        moved: MovedLogins,
        registrations: Registrations,
        siblings: OtherProcesses,
        bearer: BearerAuth,
    ) -> None:
        self.bearer = bearer
        self.moved, self._registrations, self._siblings = moved, registrations, siblings
        self._loop, self._current, self._nonces, self._failures = loop, current, nonces, failures
        self._tokens = tokens
        self._flow_table, self._accounts, self._log = flow_table, accounts, log
        self.remembered, self.history = LoginFailures(), LoginHistory()
        self.succeeded = 0
        self._random: list[bytes] = []
        self.failed: Counter[str] = Counter()  # by flaw class

    def _entropy(self) -> bytes:
        """Give random octets for one nonce, of which the system makes many at a time."""
        if not self._random:
            octets = os.urandom(ENTROPY_BYTES * MOST_RANDOM)
            self._random = [octets[at : at + ENTROPY_BYTES] for at in range(0, len(octets), ENTROPY_BYTES)]
        return self._random.pop()

    def knows(self, aor: str) -> bool:
        """Whether a login of *aor* can be judged: the users are known, and this user is up to date."""
        return self._current.value.homes.knows(aor)

    def challenged_as(self, aor: str) -> Kind:
        """Return the pool that challenges *aor* and the algorithms that it offers, whether there is such a user or not."""
        return self._current.value.homes.challenged_as(aor, self._tokens.name_hash)

    def check(self, flow: Flow, request: Request, aor: str, *, is_password: bool = False) -> Authentication | None:
        """Check the credentials of *request*; a link on which *aor* is logged in is not challenged again (rule R10).

        None if the provider of an access token has to be asked first. Of a password (*is_password*), no token counts.
        """
        if flow.device == aor and self._current.value.homes.has_users:
            return self._by_certificate(flow, request, aor)
        oauth = self._current.value.view.loaded.topology.oauth
        if request.method == "REGISTER" and oauth is not None and not is_password:
            return self._by_token(flow, request, aor, oauth.issuer)
        entropy, names, here = self._entropy(), self._current.value.names, flow.link.local
        verifier, link = self._current.value.homes.verifier(aor), flow.number
        alike = of_nobody(self.challenged_as(aor)[1])
        at = self._loop.time()  # of this start, as the nonces are: the clock of the machine may be set
        result = authenticate(
            request,
            aor,
            verifier,
            self._nonces,
            link,
            at=at,
            entropy=entropy,
            alike=alike,
            means_us=lambda uri: names.ours(uri, here),
        )
        if isinstance(result, Proved):
            self._logged_in(flow, request, result, tuple(verifier.ha1) if verifier is not None else ())
        return result

    def _by_token(self, flow: Flow, request: Request, aor: str, issuer: str) -> Authentication | None:
        """Check an access token of *issuer*, or without a right one the password; a challenge asks for either."""
        token, flaw = bearer_of(request), ""
        if token is not None:
            try:
                result = self.bearer.check(flow, aor, token)
            except OpenIdError as wrong:
                flaw = f"token: {wrong}"
            else:
                if isinstance(result, Proved):
                    self._logged_in(flow, request, result, ())
                return result
        found = self.check(flow, request, aor, is_password=True)
        if isinstance(found, Challenge):
            headers = (*found.headers, bearer_challenge(issuer, failed=bool(flaw)))
            return Challenge(found.status, headers, stale=found.stale, flaw=flaw or found.flaw)
        return found

    def _by_certificate(self, flow: Flow, request: Request, aor: str) -> Proved | Refused:
        """Log in the user of a device. Without the users, such as before they have come, the certificate and its CRL decide."""
        homes = self._current.value.homes
        verifier = homes.verifier(aor)
        if verifier is None and homes.knows(aor):
            return Refused(Status.FORBIDDEN, "User Is Removed", NO_SUCH_USER)
        if verifier is not None and verifier.is_disabled:
            return Refused(Status.FORBIDDEN, "User Is Disabled", DISABLED)
        verdict = flow.link.verdict
        device = verdict.device.device if verdict is not None and verdict.device is not None else ""
        proved = Proved(aor, verifier.generation if verifier is not None else 0, None, device)
        self._logged_in(flow, request, proved, ())
        return proved

    def _logged_in(self, flow: Flow, request: Request, proved: Proved, offered: tuple[Algorithm, ...]) -> None:
        """Record a login, and give its link the rights of its user."""
        flow.challenged = None
        if not proved.is_token:
            flow.tokens.pop(proved.aor, None)
        flow.proved(proved.aor, proved.generation)
        self._flow_table.owned(flow, proved.aor)
        self._accounts.proved(flow, proved.aor)
        self._failures.proved(str(flow.number))
        self.succeeded += 1
        agent, remote = request.first("user-agent") or "", flow.link.remote[0]
        proof = TOKEN if proved.is_token else str(proved.algorithm or CERTIFICATE)
        self.history.record(
            LoginAttempt(proved.aor, flow.link.id, remote, agent, proof, offered, time.time(), proved.device)
        )

    def refuse(self, flow: Flow, request: Request, aor: str, result: Challenge | Refused) -> Response | None:
        """Return the answer to a request without valid credentials, and count it if its login failed.

        None if the link is closed instead.
        """
        if isinstance(result, Challenge):
            is_first = not result.flaw and request.method == "REGISTER" and flow.link.kind is LinkKind.CLIENT
            flow.challenged = challenged(request, aor, result) if is_first else None
            if result.flaw and self._failed(flow, request, aor, result.flaw):
                flow.link.close(TOO_MANY)
                return None
            return respond(request, result.status, headers=result.headers)
        flow.challenged = None
        self._remember(
            flow, request.first("user-agent"), aor, result.flaw or f"malformed: {result.reason}", closes=False
        )
        return respond(request, result.status, result.reason)

    def gone(self, flow: Flow) -> None:
        """Record a login that the phone of *flow*, which has ended, has given up after the challenge."""
        if flow.challenged is not None:
            aor, agent, headers = flow.challenged
            flow.challenged = None
            offered = ", ".join(algorithm for _, value in headers for algorithm in OFFERED.findall(value))
            self._remember(flow, agent, aor, f"the challenge ({offered}) was not answered", closes=False)

    def _remember(self, flow: Flow, agent: str | None, aor: str, flaw: str, *, closes: bool) -> None:
        """Record a failed login, so that an operator can see why this user cannot log in."""
        known = self._current.value.homes.of(aor) is not None
        self.failed[flaw_class(flaw)] += 1
        self.remembered.record(FailedLogin(aor, known, flaw, flow.link.remote[0], agent or "", closes), time.time())

    def failed_elsewhere(self, flow: Flow, request: Request, aor: str, pool: str, server: str) -> None:
        """Count a login that *server*, of the home *pool*, has refused; too many close the link, as those that failed here do."""
        homes = self._current.value.homes
        is_nobody = homes.has_users and homes.of(aor) is None
        flaw = "unknown user" if is_nobody else f"its home pool is {pool}: {server} has refused the login"
        if self._failed(flow, request, aor, flaw):
            flow.link.drain()

    def _failed(self, flow: Flow, request: Request, aor: str, flaw: str) -> bool:
        """Count a failed login; return True if the link has to be closed: too many failures, and no user logged in on it."""
        closes = self._failures.failed(attempt_of(flow, aor), self._loop.time()) and not flow.has_login
        through = flow.carrier.link.peer_name if flow.carrier is not None else ""
        self._siblings.login_failed(str(flow.number), flow.link.remote[0], aor, through)
        home = self._current.value.homes.elsewhere(aor)
        self._remember(flow, request.first("user-agent"), aor, flaw, closes=closes)
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

    def close_changed(self, changed: frozenset[str] | None = None) -> list[str]:
        """Close the links of users who were removed, or whose password has changed; returns the ids of the links.

        Those of users whom another pool serves now are closed when it is their turn (`MovedLogins`). *changed* are the addresses
        of record to check; None means all, after a change of the topology.
        """
        closed = []
        for flow in self._flow_table.sessions():
            if not flow.link.is_here:
                continue
            concerned = flow.logged_in if changed is None else changed & flow.logged_in
            outdated = [aor for aor in concerned if self._outdated(flow, aor)]
            if not outdated:
                continue
            is_first = changed is None or flow not in self.moved  # a second change may be that of the password
            if is_first and all(self._has_moved(flow, aor) for aor in outdated):
                self._registrations.withdraw(flow, outdated)
                self.moved.add(flow)
            else:
                flow.link.close("the user was removed, or has a new password")
                closed.append(flow.link.id)
        return closed + self.moved.step()

    def _outdated(self, flow: Flow, aor: str) -> bool:
        login, homes = flow.logins.get(aor), self._current.value.homes
        if login is not None:  # its home pool checks its password; an edge knows no users
            return homes.has_users and not homes.may_serve(login.home, aor)
        verifier = homes.verifier(aor)
        if flow.tokens and self.bearer.is_outdated(flow, aor):
            return True
        if flow.device == aor:  # not by a password
            return verifier.is_disabled if verifier is not None else homes.knows(aor)
        return verifier is None or not verifier.counts(flow.generations.get(aor))

    def _has_moved(self, flow: Flow, aor: str) -> bool:
        """Tell whether *aor*, whose login on *flow* has ended, is still a user, of another pool than at the login."""
        homes = self._current.value.homes
        return homes.of(aor) is not None if aor in flow.logins else bool(homes.elsewhere(aor))


def challenged(request: Request, aor: str, challenge: Challenge) -> ChallengedLogin:
    """Keep of a REGISTER what is recorded if the challenge is not answered."""
    return aor[:LONGEST_USER], (request.first("user-agent") or "")[:LONGEST_AGENT], challenge.headers
