"""Failed logins: counted per link, per remote address and per user; they slow down, then close.

What is counted decides what follows. A link or an address that keeps failing is somebody guessing, and is closed. A user is only
ever slowed down, and little: otherwise whoever knows a name could lock its owner out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """When failed logins are slowed down, and when a link is closed for them."""

    free: int = 2  # failures of a link or a user that cost nothing: a mistyped password, a phone with an old one
    address_free: int = 10  # the same of an address, behind which a whole office may sit
    first_delay_s: float = 0.5  # then each answer waits, twice as long as the one before
    max_delay_s: float = 8.0  # an answer that is held for longer only fills our memory
    max_user_delay_s: float = 2.0  # what anybody may do to a user by failing in its name
    link_closes_at: int = 8  # no person mistypes that often
    address_closes_at: int = (
        40  # an office may have that many phones with an old password; a guesser gets nowhere with it
    )
    forget_after_s: float = 600.0  # without a failure for that long, a count starts anew
    most_counted: int = 10_000  # entries per table, some 200 bytes each; the least recent goes first


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a failed login costs: hold the answer back for *delay_s*, then close the link if *close* says so."""

    delay_s: float = 0.0
    close: bool = False
    why: str = ""


class Failures:
    """The counts of one server."""

    __slots__ = ("_addresses", "_limits", "_links", "_users")

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._links, self._addresses, self._users = (_Counts(limits) for _ in range(3))

    def __repr__(self) -> str:
        return f"<Failures links={len(self._links)} addresses={len(self._addresses)} users={len(self._users)}>"

    def failed(self, link: Hashable, address: str, user: str, at: float) -> Penalty:
        """Count one failed login and tell what it costs; *at* is in seconds of a clock that never goes back."""
        limits = self._limits
        here = self._links.count(link, at)
        there = self._addresses.count(network_of(address), at)
        delays = delay_of(limits, here, limits.free), delay_of(limits, there, limits.address_free)
        delay_s = max(*delays, self._user_delay(user, at))
        if here >= limits.link_closes_at:
            return Penalty(delay_s, close=True, why=f"{here} failed logins on this link")
        if there >= limits.address_closes_at:
            return Penalty(delay_s, close=True, why=f"{there} failed logins from {network_of(address)}")
        return Penalty(delay_s)

    def is_closed_to(self, address: str, at: float) -> bool:
        """Tell whether an address has failed so often that its new links get no answer to a login at all."""
        return self._addresses.held(network_of(address), at) >= self._limits.address_closes_at

    def proved(self, link: Hashable, user: str) -> None:
        """Forget what a link and a user have failed: the password was right. The address may be many people's."""
        self._links.forget(link)
        self._users.forget(user)

    def gone(self, link: Hashable) -> None:
        """Forget a link that has closed."""
        self._links.forget(link)

    def _user_delay(self, user: str, at: float) -> float:
        delay_s = delay_of(self._limits, self._users.count(user, at), self._limits.free)
        return min(delay_s, self._limits.max_user_delay_s)


def delay_of(limits: FailureLimits, count: int, free: int) -> float:
    """Tell how long the answer to failure number *count* waits, in seconds; the first *free* do not."""
    doublings = count - free - 1
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
        self._held: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def held(self, key: Hashable, at: float) -> int:
        count, last = self._held.get(key, (0, at))
        return count if at - last < self._limits.forget_after_s else 0

    def count(self, key: Hashable, at: float) -> int:
        count = self.held(key, at) + 1
        self._held[key] = (count, at)
        self._held.move_to_end(key)
        if len(self._held) > self._limits.most_counted:
            self._held.popitem(last=False)
        return count

    def forget(self, key: Hashable) -> None:
        self._held.pop(key, None)
