"""The logins of trunks without a certificate: each proves its password once on each link (rule R10)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.digest import Challenge, Proved, Refused, authenticate
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.outcome import Answer, Drop
from sipmesh.server.proxy.login.login_waits import TOO_MANY, attempt_of
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.status import Status
from sipmesh.storage.keyfile import read_password
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.authentication.backoff import LoginBackoff
    from sipmesh.routing.numbers.trunk_challenge import TrunkChallenge
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.sip.digest import Nonces
    from sipmesh.sip.message import Request

ENTROPY_BYTES: Final = 8
CREDENTIALS: Final = ("authorization", "proxy-authorization")
NO_LOGIN: Final = "the trunk has not logged in on this link"
NO_PASSWORD: Final = Answer(
    Status.SERVICE_UNAVAILABLE, code=Code.NOT_AUTHENTICATED, why="the password of a trunk cannot be read here"
)


class TrunkChallenges:
    """Challenges trunks that have no certificate. *failures* says when a link is closed, *accounts* count its links.

    *clock* gives loop time. A changed password ends the links that an earlier one has opened, which are those of *flow_table*.
    """

    def __init__(
        self,
        current: Current,
        nonces: Nonces,
        failures: LoginBackoff,
        accounts: Principals,
        flow_table: FlowTable,
        clock: Callable[[], float],
        log: LimitedLog,
    ) -> None:
        self._flow_table = flow_table
        self._passwords: dict[tuple[str, str], tuple[str, int]] = {}  # the hash and the number of the newest, by file
        self._known = 0  # passwords so far: trunks may have the same user, each with a file of its own
        self._current, self._nonces, self._failures, self._accounts = current, nonces, failures, accounts
        self._clock, self._log = clock, log

    def refused(self, flow: Flow, request: Request) -> Answer | Drop | None:
        """Challenge a request of a trunk that has not logged in on its link; None if it may pass, without its credentials.

        `Drop` says why the link is to be closed.
        """
        challenge = self._challenge(flow)
        if challenge is None:
            return None
        if challenge.aor not in flow.generations and (refused := self._log_in(flow, request, challenge)) is not None:
            return refused
        for name in CREDENTIALS:
            request.remove(name)
        return None

    def sweep(self) -> None:
        """Close the links of trunks whose password was changed since they have logged in, or cannot be read any more."""
        names = self._current.value.trunk_names
        if names is None or not any(route.challenge for route in names.trunks.trunks.values()):
            return
        known: dict[TrunkChallenge, Verifier | None] = {}
        for flow in self._flow_table.sessions():
            challenge = self._challenge(flow)
            if challenge is None or challenge.aor not in flow.generations:
                continue
            if challenge not in known:
                known[challenge] = self._verifier(challenge)
            verifier = known[challenge]
            if verifier is None or not verifier.counts(flow.generations[challenge.aor]):
                flow.link.close("the trunk has a new password")

    def _challenge(self, flow: Flow) -> TrunkChallenge | None:
        """Give how the peer of *flow* has to log in. A link that we have opened has the certificate of the trunk."""
        names = self._current.value.trunk_names
        trunk = self._current.value.view.trunk_at(flow.link.port) if names is not None else None
        if names is None or trunk is None or flow.link.direction is not Direction.ACCEPTED:
            return None
        return names.trunks.trunks[trunk.name].challenge

    def _log_in(self, flow: Flow, request: Request, challenge: TrunkChallenge) -> Answer | Drop | None:
        if request.method in {"ACK", "CANCEL"}:  # they cannot be challenged (RFC 3261 section 22.1)
            return Answer(Status.CALL_OR_TRANSACTION_DOES_NOT_EXIST, code=Code.NOT_AUTHENTICATED, why=NO_LOGIN)
        verifier = self._verifier(challenge)
        if verifier is None:
            return NO_PASSWORD
        at, entropy = self._clock(), os.urandom(ENTROPY_BYTES)
        names, here = self._current.value.names, flow.link.local
        found = authenticate(
            request,
            challenge.aor,
            verifier,
            self._nonces,
            flow.number,
            at=at,
            entropy=entropy,
            means_us=lambda uri: names.ours(uri, here),
        )
        if isinstance(found, Proved):
            flow.generations[challenge.aor] = found.generation
            flow.link.authenticate()
            self._accounts.trunk_proved(flow)
            self._log.info(
                flow.link.peer_name, "trunk has logged in", link=flow.link.id, algorithm=str(found.algorithm)
            )
            return None
        return self._refusal(flow, challenge, found)

    def _refusal(self, flow: Flow, challenge: TrunkChallenge, found: Challenge | Refused) -> Answer | Drop:
        """Answer a request without valid credentials; a link on which too many were wrong is closed."""
        if isinstance(found, Refused):
            return Answer(found.status, code=Code.NOT_AUTHENTICATED, why=found.reason)
        if found.flaw:
            remote = flow.link.remote[0]
            self._log.warning(
                flow.link.peer_name, "login of a trunk failed", link=flow.link.id, remote=remote, flaw=found.flaw
            )
            if self._failures.failed(attempt_of(flow, challenge.aor), self._clock()):
                return Drop(TOO_MANY)
        return Answer(found.status, headers=found.headers, code=Code.NOT_AUTHENTICATED, why=found.flaw or NO_LOGIN)

    def _verifier(self, challenge: TrunkChallenge) -> Verifier | None:
        """Give the hashes of the password in the file of this server; None if there is none."""
        folder = self._current.value.view.loaded.folder
        try:
            password = read_password(folder / challenge.file, folder)
        except OperatorError as wrong:
            self._log.error(challenge.aor, "no password for a trunk", account=challenge.aor, why=str(wrong))
            return None
        hashes = {one: ha1(challenge.user, challenge.realm, password, one) for one in challenge.algorithms}
        secret = hashes[Algorithm.SHA_256]
        of = challenge.aor, challenge.file
        newest, number = self._passwords.get(of, ("", 0))
        if newest != secret:
            self._known = number = self._known + 1
            self._passwords[of] = secret, number
        return Verifier(challenge.aor, number, hashes)
