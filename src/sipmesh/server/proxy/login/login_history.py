"""The last successful logins, to answer "how did this user log in, and with which algorithm?"; bounded for each user."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sipmesh.printable import printable
from sipmesh.sip.digest import Algorithm
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH

LONGEST_AGENT: Final = 128
"""Characters that are kept of a User-Agent."""


CERTIFICATE: Final = "certificate"
"""What operators see in place of the algorithm, if the certificate of a device has proved its user."""

TOKEN: Final = "token"  # noqa: S105 - no secret
"""The same for an access token."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How many logins are kept, each below 1 KiB: the newest of each user, for the users who have logged in last."""

    of_a_user: int = 8
    users: int = 20_000


@dataclass(init=False, slots=True)
class LoginAttempt:
    """A login on the link with the id *link*; *at* is in epoch seconds (UTC). *offered* are the algorithms of the challenge.

    *proof* is the digest algorithm, `CERTIFICATE` or `TOKEN`. *device* is the name of the device that has a password or
    certificate of its own, "" if the user's own password was used.
    *user_agent* is made printable here, and cut.
    """

    user: str
    link: str
    remote: str
    user_agent: str
    proof: str
    offered: tuple[Algorithm, ...]
    at: float
    device: str

    def __init__(
        self,
        user: str,
        link: str,
        remote: str,
        user_agent: str,
        proof: str,
        offered: tuple[Algorithm, ...],
        at: float,
        device: str = "",
    ) -> None:
        self.user, self.link, self.remote = user, link, remote
        self.user_agent = _printable_agent(user_agent)
        self.proof, self.offered, self.at, self.device = proof, offered, at, device


def _printable_agent(text: str) -> str:
    """Make a User-Agent printable: most phones of a site write the same one, and `printable` is not compiled."""
    agent = _agents.get(text)
    if agent is None:
        agent = printable(text, LONGEST_AGENT)
        if len(text) <= CACHED_LENGTH:
            _agents.keep(text, agent)
    return agent


_agents: Final[TextCache[str]] = TextCache(256)


class LoginHistory:
    """The newest logins on one server; a link has one entry for each of its users."""

    def __init__(self, limits: HistoryLimits | None = None) -> None:
        self._limits = limits or HistoryLimits()
        self._users: OrderedDict[str, dict[str, LoginAttempt]] = OrderedDict()

    def record(self, login: LoginAttempt) -> None:
        """Record a login."""
        logins = self._users.setdefault(login.user, {})
        self._users.move_to_end(login.user)
        logins.pop(login.link, None)
        logins[login.link] = login
        if len(logins) > self._limits.of_a_user:
            del logins[next(iter(logins))]
        if len(self._users) > self._limits.users:
            self._users.popitem(last=False)

    def of(self, user: str) -> list[LoginAttempt]:
        """Return the logins of a user, newest first."""
        return list(reversed(self._users.get(user, {}).values()))
