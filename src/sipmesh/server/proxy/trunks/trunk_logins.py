"""The logins of a gateway at trunks that challenge it: the challenges that it knows, and the credentials that it adds."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.routing.numbers.trunk_login import FIELDS
from sipmesh.sip.digest import answer
from sipmesh.sip.status import REASONS, Status
from sipmesh.storage.keyfile import read_password

if TYPE_CHECKING:
    from sipmesh.routing.numbers.trunk_login import TrunkLogin
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import SentBranch
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.digest import DigestChallenge
    from sipmesh.sip.message import Request, Response

UNCHALLENGED: Final = frozenset({"ACK", "CANCEL"})
"""No server challenges these (RFC 3261 section 22.1)."""

CREDENTIALS: Final = tuple(field for _, field in FIELDS.values())


class KnownChallenge:
    """The last *challenge* of a trunk: answered in *field*, for *count* requests so far."""

    __slots__ = ("challenge", "count", "field")

    def __init__(self, challenge: DigestChallenge, field: str) -> None:
        self.challenge, self.field, self.count = challenge, field, 0


class TrunkLogins:
    """Answers the challenges of trunks by the accounts in the topology. No challenge of a trunk leaves the gateway.

    A trunk may challenge its registrar and its proxy in different ways, so that one challenge is known of each.
    """

    def __init__(self, current: Current, log: LimitedLog) -> None:
        self._current, self._log = current, log
        self._known: dict[tuple[str, bool], KnownChallenge] = {}
        self._failed: dict[tuple[str, bool], str] = {}

    def _login(self, trunk: str) -> TrunkLogin | None:
        names = self._current.value.trunk_names
        route = names.trunks.trunks.get(trunk) if names is not None else None
        return route.login if route is not None else None

    def account(self, trunk: str) -> tuple[TrunkLogin | None, int]:
        """Give the account at *trunk*, and when its password was written, in nanoseconds; 0 without a file."""
        login, loaded = self._login(trunk), self._current.value.view.loaded
        try:
            return login, (loaded.folder / login.file).stat().st_mtime_ns if login is not None else 0
        except OSError:
            return login, 0

    def why_failed(self, trunk: str) -> str:
        """Return why our login at *trunk* fails; empty if it does not. A registration shows it before a call."""
        login = self._login(trunk)
        registers = login is not None and login.registers
        return (self._failed.get((trunk, True)) if registers else None) or self._failed.get((trunk, False), "")

    def failed(self, trunk: str, why: str, *, is_register: bool) -> None:
        """Our login at *trunk* has failed, for a REGISTER or for a call."""
        if (trunk, is_register) not in self._failed:
            self._log.error(trunk, "login at a trunk fails", peer=trunk, why=why)
        self._failed[trunk, is_register] = why

    def registered(self, trunk: str) -> None:
        """A REGISTER was accepted. The same account counts for calls: the next call shows it, if not."""
        for is_register in (True, False):
            self._failed.pop((trunk, is_register), None)

    def rang(self, trunk: str) -> None:
        """A new call rings at *trunk*, or was answered there: the login for calls is in order."""
        self._failed.pop((trunk, False), None)

    def authorize(self, request: Request, trunk: str) -> None:
        """Put our credentials into a request to *trunk*, in place of those of its sender."""
        if self._login(trunk) is None:
            return
        for name in CREDENTIALS:
            request.remove(name)
        found = self.credentials(request, trunk)
        if found is not None:
            request.append(*found)

    def credentials(self, request: Request, trunk: str) -> tuple[str, str] | None:
        """Give the field with our credentials for a request; None if no challenge is known, or no password."""
        login, known = self._login(trunk), self._known.get((trunk, request.method == "REGISTER"))
        if login is None or known is None or request.method in UNCHALLENGED:
            return None
        if (known.challenge.realm, known.challenge.algorithm) != (
            login.realm,
            login.algorithm,
        ):  # of an earlier version
            return None
        folder = self._current.value.view.loaded.folder
        try:
            password = read_password(folder / login.file, folder)
            known.count += 1
            cnonce = secrets.token_hex(16)
            challenges = [known.challenge]
            return known.field, answer(
                challenges, login.user, password, request.method, request.uri, cnonce, known.count
            )
        except (OperatorError, RemoteError) as wrong:
            self.failed(trunk, f"our password cannot be used: {wrong}", is_register=request.method == "REGISTER")
            return None

    def learn(self, response: Response, trunk: str) -> bool:
        """Know the challenge in a 401 or 407; tell whether it may be answered."""
        login = self._login(trunk)
        challenge = login.challenge_in(response) if login is not None else None
        if login is None or challenge is None:
            why = login.flaw_of(response) if login is not None else "the topology has no login for it"
            self._log.warning(trunk, "challenge of a trunk refused", peer=trunk, why=why)
            asked = f"its challenge is not answered: {why}"
            self.failed(trunk, asked, is_register=response.cseq.method == "REGISTER")
            return False
        self._known[trunk, response.cseq.method == "REGISTER"] = KnownChallenge(challenge, FIELDS[response.status][1])
        return True

    def challenged(self, sent: SentBranch, response: Response, trunk: str) -> None:
        """Take the challenge of a trunk out of *response*, which becomes a 502: who has sent the request cannot answer it."""
        sent.is_challenged = self.learn(response, trunk)
        context = sent.proxied.context
        is_second = context is not None and context.branches[sent.number].authorized
        has_answered = is_second and any(sent.request.first(name) for name in CREDENTIALS)
        if sent.is_challenged and has_answered and not self._known[trunk, False].challenge.stale:
            self.failed(trunk, f"it refuses our password for calls with {response.status}", is_register=False)
        for name, _ in FIELDS.values():
            response.remove(name)
        response.status, response.reason = Status.BAD_GATEWAY, REASONS[Status.BAD_GATEWAY]
