"""Failed logins are counted for each link, and for each user at each address. They delay the next attempts.

The delay comes before the credentials are checked, and is the same for right and wrong passwords. A delay after the check
would not slow down an attacker, who would open another link meanwhile.

Only a few attempts may wait for one user at one address, and from one address. The delay depends on the claimed user and
the address, and not on whether the user exists. Failures at another address cause no delay. Failures for other users at the
same address cause a delay after `address_free` of them. Only the link that fails is closed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import NamedTuple

from sipmesh.routing.budget import Budget
from sipmesh.sip.text_cache import short_key


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """When login attempts are delayed, how many may wait, and when a link is closed."""

    free: int = 2  # failures of a link, or of a user at an address, until the next attempt is delayed
    first_delay_s: float = 0.5  # the first delay; each further delay is twice as long
    max_delay_s: float = 8.0  # a phone with the right password succeeds long before its REGISTER times out
    waiting_per_user: int = 8  # waiting attempts for one user at one address; the oldest is displaced
    address_free: int = 50  # failures of an address, for all users, until its attempts are delayed: an office
    address_delay_s: float = 2.0  # the delay of each attempt from that address, for any user
    waiting_per_address: int = 64  # waiting attempts from one address; the oldest is displaced
    waiting_in_all: int = 1_024  # each keeps a request in memory; the address with the most loses its oldest
    link_closes_at: int = 8  # failures of one link; a user does not mistype a password that often
    forget_after_s: float = 600.0  # a count restarts at zero after this time without a failure
    most_counted: int = 10_000  # entries per table, about 200 bytes each; the least recent is removed


class FailureCount(NamedTuple):
    """How many logins of one user or address, as *key* names it, have failed, and how many seconds ago the last one has."""

    of_address: bool
    key: str
    failed: int
    age_s: float


class LoginBackoff:
    """The failure counts of one server, and the waiting attempts. Times are seconds of a monotonic clock."""

    __slots__ = ("_addresses", "_limits", "_links", "_users", "waiting", "waiting_of_links", "waiting_of_users")

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._links, self._addresses, self._users = (_Counts(limits) for _ in range(3))
        self.waiting: Budget[Attempt] = Budget(limits.waiting_per_address, limits.waiting_in_all)
        self.waiting_of_users: Budget[Attempt] = Budget(limits.waiting_per_user, limits.waiting_in_all)
        self.waiting_of_links: Budget[Attempt] = Budget(limits.link_closes_at, limits.waiting_in_all)

    @property
    def displaced(self) -> int:
        """The number of attempts displaced by newer attempts since the start."""
        return self.waiting.displaced + self.waiting_of_users.displaced + self.waiting_of_links.displaced

    @property
    def has_none(self) -> bool:
        """Whether there is no failure and no waiting attempt: then no login is delayed, and no link is closed."""
        return not (self._links or self._users or self._addresses or self.waiting or self.waiting_of_links)

    def delay_s(self, attempt: Attempt, at: float) -> float:
        """Give the delay of an attempt in seconds. Attempts that wait count as failures."""
        limits = self._limits
        of_link = self._links.current(attempt.link, at) + self.waiting_of_links.count(attempt.link)
        of_user = self._users.current(attempt.user, at) + self.waiting_of_users.count(attempt.user)
        if attempt.through:
            of_user = max(of_user, self._users.current(attempt.through, at))
        delay = delay_of(limits, max(of_link, of_user))
        if self._addresses.current(attempt.address, at) >= limits.address_free:
            delay = max(delay, limits.address_delay_s)
        return delay

    def is_closed_to(self, attempt: Attempt, at: float) -> bool:
        """Tell whether a link has used all its attempts, including those that wait."""
        tried = self._links.current(attempt.link, at) + self.waiting_of_links.count(attempt.link)
        return tried >= self._limits.link_closes_at

    def wait(self, attempt: Attempt) -> tuple[Attempt, ...]:
        """Let an attempt wait. Returns the attempts that it displaces, which no longer wait."""
        budgets = self.waiting, self.waiting_of_users, self.waiting_of_links
        names = attempt.address, attempt.user, attempt.link
        displaced = [budget.add(name, attempt) for budget, name in zip(budgets, names, strict=True)]
        removed = tuple(dict.fromkeys(other for other in displaced if other is not None))
        for other in removed:
            self.waited(other)
        return removed

    def waited(self, attempt: Attempt) -> bool:
        """End the wait of an attempt; False if it was displaced, or its link was closed."""
        was_waiting = self.waiting.remove(attempt.address, attempt)
        self.waiting_of_users.remove(attempt.user, attempt)
        self.waiting_of_links.remove(attempt.link, attempt)
        return was_waiting

    def failed(self, attempt: Attempt, at: float) -> bool:
        """Count a failed login; True if its link must be closed."""
        self._users.count(attempt.user, at)
        if attempt.through:
            self._users.count(attempt.through, at)
        self._addresses.count(attempt.address, at)
        return self._links.count(attempt.link, at) >= self._limits.link_closes_at

    def counts(self, at: float) -> Iterator[FailureCount]:
        """Give the counts of all users and addresses, for a process of this server that has just started."""
        for of_address, table in ((False, self._users), (True, self._addresses)):
            for key, count, last in table.entries(at):
                yield FailureCount(of_address, key, count, at - last)

    def failed_before(self, earlier: FailureCount, at: float) -> None:
        """Count the failures that another process of this server has counted; it may have got some that this one knows."""
        table = self._addresses if earlier.of_address else self._users
        table.at_least(earlier.key, earlier.failed, at - earlier.age_s)

    def proved(self, link: str) -> None:
        """Reset the count of a link: the password was right.

        The count of the user stays. If it were reset, an attacker could see that this user has logged in.
        """
        self._links.forget(link)

    def gone(self, link: str) -> None:
        """Remove the count and the waiting attempts of a link that was closed."""
        self._links.forget(link)
        for attempt in self.waiting_of_links.of(link):
            self.waited(attempt)


class Attempt:
    """One login attempt: the *link*, the *address* of its peer, and the *user* claimed from that address.

    *through* is the user claimed through a server of ours that carries the link: what that server says of addresses may be wrong.
    """

    __slots__ = ("address", "link", "through", "user")

    def __init__(self, link: str, remote: str, aor: str, through: str = "") -> None:
        self.link, self.address = link, network_of(remote)
        claimed = short_key(aor)
        self.user = f"{self.address} {claimed}"
        self.through = f"through {through} {claimed}" if through else ""


def delay_of(limits: FailureLimits, count: int) -> float:
    """Give the delay after *count* failures, in seconds. The first delay comes after ``free`` failures."""
    doublings = count - limits.free
    if doublings < 0:
        return 0.0
    return min(limits.max_delay_s, limits.first_delay_s * 2.0 ** min(doublings, 30))


def network_of(address: str) -> str:
    """Give the network of one client: an IPv4 address, or the /64 of an IPv6 address (RFC 6177: a site gets at least that)."""
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
    """A bounded table of counts with the time of the last failure. The least recent entry is removed first."""

    __slots__ = ("_entries", "_limits")

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._entries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def current(self, key: str, at: float) -> int:
        count, last = self._entries.get(key, (0, at))
        return count if at - last < self._limits.forget_after_s else 0

    def count(self, key: str, at: float) -> int:
        count = self.current(key, at) + 1
        self._entries[key] = (count, at)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limits.most_counted:
            self._entries.popitem(last=False)
        return count

    def entries(self, at: float) -> Iterator[tuple[str, int, float]]:
        """Give each key with its count and the time of its last failure, the least recent first."""
        for key, (_, last) in self._entries.items():
            if (count := self.current(key, at)) > 0:
                yield key, count, last

    def at_least(self, key: str, count: int, last: float) -> None:
        """Raise a count to *count*, and keep the later of both times."""
        known, known_last = self._entries.get(key, (0, last))
        self._entries[key] = (max(known, count), max(known_last, last))
        if len(self._entries) > self._limits.most_counted:
            self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)
