"""Failed logins: counted per link and per user at one address. They make the next attempts wait before they are looked at.

A wait after a wrong answer would slow nobody down: who guesses opens another link meanwhile. So an attempt waits before its
credentials are looked at, the right ones as long as the wrong ones, and few attempts wait at once for one user at one address
and for one address. The wait depends on who is claimed and on where it comes from, never on whether such a user exists.
Whoever fails elsewhere, or as another user, makes nobody wait, and no link is closed but the one that fails.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address

from sipmesh.routing.budget import Budget


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """When attempts to log in wait, how many do, and when a link is closed."""

    free: int = 2  # failures of a link, and of a user at an address, that cost nothing: a mistyped password
    first_delay_s: float = 0.5  # then the next attempt waits, twice as long as the one before
    max_delay_s: float = 8.0  # a phone with the right password gets in well before its REGISTER times out
    waiting_per_user: int = 8  # attempts for one user at one address that wait at once; the oldest gives way
    address_free: int = 50  # failures of an address, in all names, that cost nothing: an office with old passwords
    address_delay_s: float = 2.0  # then each attempt from there waits, whoever it is for
    waiting_per_address: int = 64  # attempts from one address that wait at once; the oldest gives way
    waiting_in_all: int = 1_024  # each holds a request; the oldest of the address with most gives way
    link_closes_at: int = 8  # no person mistypes that often
    forget_after_s: float = 600.0  # without a failure for that long, a count starts anew
    most_counted: int = 10_000  # entries per table, some 200 bytes each; the least recent goes first


class LoginBackoff:
    """The counts of one server, and the attempts that wait; times are in seconds of a clock that never goes back."""

    __slots__ = ("_addresses", "_limits", "_links", "_users", "waiting", "waiting_of_links", "waiting_of_users")

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._links, self._addresses, self._users = (_Counts(limits) for _ in range(3))
        self.waiting: Budget[Attempt] = Budget(limits.waiting_per_address, limits.waiting_in_all)
        self.waiting_of_users: Budget[Attempt] = Budget(limits.waiting_per_user, limits.waiting_in_all)
        self.waiting_of_links: Budget[Attempt] = Budget(limits.link_closes_at, limits.waiting_in_all)

    def __repr__(self) -> str:
        return (
            f"<LoginBackoff links={len(self._links)} addresses={len(self._addresses)} users={len(self._users)}"
            f" waiting={len(self.waiting)}>"
        )

    @property
    def displaced(self) -> int:
        """How many attempts have given way to newer ones since the start."""
        return self.waiting.displaced + self.waiting_of_users.displaced + self.waiting_of_links.displaced

    def delay_s(self, asked: Attempt, at: float) -> float:
        """Tell how long an attempt has to wait; those that wait already count as if they had failed."""
        limits = self._limits
        here = self._links.held(asked.link, at) + self.waiting_of_links.count(asked.link)
        theirs = self._users.held(asked.user, at) + self.waiting_of_users.count(asked.user)
        delay = delay_of(limits, max(here, theirs))
        if self._addresses.held(asked.address, at) >= limits.address_free:
            delay = max(delay, limits.address_delay_s)
        return delay

    def is_closed_to(self, asked: Attempt, at: float) -> bool:
        """Tell whether a link has no attempt left, counting those of it that wait."""
        tried = self._links.held(asked.link, at) + self.waiting_of_links.count(asked.link)
        return tried >= self._limits.link_closes_at

    def wait(self, asked: Attempt) -> tuple[Attempt, ...]:
        """Let an attempt wait; returns those that give way to it, and wait no more."""
        budgets = self.waiting, self.waiting_of_users, self.waiting_of_links
        names = asked.address, asked.user, asked.link
        displaced = [budget.add(name, asked) for budget, name in zip(budgets, names, strict=True)]
        gone = tuple(dict.fromkeys(one for one in displaced if one is not None))
        for one in gone:
            self.waited(one)
        return gone

    def waited(self, asked: Attempt) -> bool:
        """End the wait of an attempt; False if it has given way, or its link is gone."""
        held = self.waiting.remove(asked.address, asked)
        self.waiting_of_users.remove(asked.user, asked)
        self.waiting_of_links.remove(asked.link, asked)
        return held

    def failed(self, asked: Attempt, at: float) -> bool:
        """Count one failed login; True if its link is to be closed."""
        self._users.count(asked.user, at)
        self._addresses.count(asked.address, at)
        return self._links.count(asked.link, at) >= self._limits.link_closes_at

    def proved(self, link: str) -> None:
        """Forget what a link has failed: the password was right.

        The count of the user stays: that it began anew would tell a guesser that such a user has logged in.
        """
        self._links.forget(link)

    def gone(self, link: str) -> None:
        """Forget a link that has closed, and its attempts that wait."""
        self._links.forget(link)
        for one in self.waiting_of_links.of(link):
            self.waited(one)


class Attempt:
    """One attempt to log in: the *link* that it came on, the *address* of that, and the *user* claimed there."""

    __slots__ = ("address", "link", "user")

    def __init__(self, link: str, remote: str, aor: str) -> None:
        self.link, self.address = link, network_of(remote)
        self.user = f"{self.address} {aor}"

    def __repr__(self) -> str:
        return f"<Attempt of {self.user} on {self.link}>"


def delay_of(limits: FailureLimits, count: int) -> float:
    """Tell how long an attempt waits after *count* failures, in seconds; after the first ``free`` - 1 it does not."""
    doublings = count - limits.free
    if doublings < 0:
        return 0.0
    return min(limits.max_delay_s, limits.first_delay_s * 2.0 ** min(doublings, 30))


def network_of(address: str) -> str:
    """Give what one attacker has: an IPv4 address, or a /64 of IPv6 (RFC 6177: nobody gets less)."""
    if ":" not in address:
        return address
    try:
        plain = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if plain.ipv4_mapped is not None:
        return str(plain.ipv4_mapped)
    return f"{IPv6Address(int(plain) >> 64 << 64)}/64"


class _Counts:
    """A bounded table of counts, each with the time of its last failure; the least recent entry gives way."""

    __slots__ = ("_held", "_limits")

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._held: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def held(self, key: str, at: float) -> int:
        count, last = self._held.get(key, (0, at))
        return count if at - last < self._limits.forget_after_s else 0

    def count(self, key: str, at: float) -> int:
        count = self.held(key, at) + 1
        self._held[key] = (count, at)
        self._held.move_to_end(key)
        if len(self._held) > self._limits.most_counted:
            self._held.popitem(last=False)
        return count

    def forget(self, key: str) -> None:
        self._held.pop(key, None)
