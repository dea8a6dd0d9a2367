"""The last failed logins, to answer "why can this user not log in?"; memory is bounded, and no network can fill it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sipmesh.printable import printable
from sipmesh.routing.authentication.backoff import network_of

LONGEST_USER: Final = 256
LONGEST_AGENT: Final = 128
"""Characters that are kept of an address of record, and of a User-Agent."""

FLAWS: Final = {
    "wrong password": "wrong-password",
    "token issuer away": "token-issuer-away",
    "token: ": "token-refused",
    "unknown user": "unknown-user",
    "the user name is not that of the address": "wrong-user-name",
    "was not offered": "wrong-algorithm",
    "was not answered": "not-answered",
    "its home pool is": "other-home",
    "the user of the device": "user-of-a-device",
    "malformed": "malformed",
}
"""A part of the flaw's text, and the class under which the flaw is counted; other flaws are ``other``."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """How many entries are kept, at most about 1 KiB each. An entry is one user, one network and one flaw."""

    of_a_network: int = 200  # one address, or one /64 of IPv6; above this, its own oldest entry is dropped
    of_known: int = 5_000  # failures of users that exist
    of_unknown: int = 500  # failures with unknown names: guessed names displace only other guesses


@dataclass(slots=True)
class LoginFailure:
    """The failed logins of one user from one network with one flaw. Times are epoch seconds (UTC)."""

    user: str
    flaw: str
    remote: str
    user_agent: str
    first_at: float
    last_at: float
    count: int = 1
    closed: bool = False  # whether the last failure closed its link


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """One failed login; *known* says whether *user* exists."""

    user: str
    known: bool
    flaw: str
    remote: str
    user_agent: str
    closed: bool


class LoginFailures:
    """The failed logins on one server. Existing users and unknown names have separate limits."""

    def __init__(self, limits: MemoryLimits | None = None) -> None:
        limits = limits or MemoryLimits()
        self._known = _Table(limits.of_known, limits.of_a_network)
        self._unknown = _Table(limits.of_unknown, limits.of_a_network)

    def record(self, failed: FailedLogin, at: float) -> None:
        """Record a failed login; *at* is in epoch seconds."""
        table = self._known if failed.known else self._unknown
        user, agent = printable(failed.user, LONGEST_USER), printable(failed.user_agent, LONGEST_AGENT)
        table.record(LoginFailure(user, failed.flaw, failed.remote, agent, at, at, closed=failed.closed))

    def of(self, user: str) -> list[LoginFailure]:
        """Return the entries of one user, newest first."""
        return _newest_first(failure for failure in self._all() if failure.user == user)

    def newest(self, most: int) -> list[LoginFailure]:
        """Return the newest *most* entries of all users."""
        return _newest_first(self._all())[: max(most, 0)]

    def _all(self) -> Iterator[LoginFailure]:
        yield from self._known
        yield from self._unknown


def flaw_class(flaw: str) -> str:
    """Return the class under which a flaw is counted."""
    return next((name for part, name in FLAWS.items() if part in flaw), "other")


def _newest_first(found: Iterable[LoginFailure]) -> list[LoginFailure]:
    return sorted(found, key=lambda failure: failure.last_at, reverse=True)


Entries = OrderedDict[tuple[str, str], LoginFailure]


@dataclass(slots=True)
class _Table:
    """Entries by network, and in each network by user and flaw; the least recent entry is first in both."""

    most: int
    most_of_a_network: int
    _networks: OrderedDict[str, Entries] = field(default_factory=OrderedDict)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[LoginFailure]:
        for entries in self._networks.values():
            yield from entries.values()

    def record(self, failure: LoginFailure) -> None:
        """Count a failure on its existing entry, or add an entry and drop an old one at the limit."""
        network, key = network_of(failure.remote), (failure.user, failure.flaw)
        entries = self._networks.setdefault(network, OrderedDict())
        before = entries.pop(key, None)
        if before is not None:
            failure.first_at, failure.count = before.first_at, before.count + 1
        else:
            self._count += 1
        entries[key] = failure
        self._networks.move_to_end(network)
        if len(entries) > self.most_of_a_network:
            self._forget_oldest_of(network)
        elif (
            self._count > self.most
        ):  # a network with several entries loses its own oldest; otherwise the least recent network loses one
            self._forget_oldest_of(network if len(entries) > 1 else next(iter(self._networks)))

    def _forget_oldest_of(self, network: str) -> None:
        self._networks[network].popitem(last=False)
        self._count -= 1
        if not self._networks[network]:
            del self._networks[network]
