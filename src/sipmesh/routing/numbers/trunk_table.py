"""All trunks of a topology, by the numbers that they may assert and carry."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from math import log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipmesh.routing.numbers.trunk_challenge import TrunkChallenge
    from sipmesh.routing.numbers.trunk_login import TrunkLogin
    from sipmesh.topology.document.parts.trunk import Keying


DRAWN_OCTETS: Final = 6


@dataclass(frozen=True, slots=True)
class TrunkRoute:
    """One trunk: its *name*, the pool *gateway* that has the links to it, and the first digits of its numbers.

    *longest_call* is in minutes, *ping* in seconds; 0 is no ping. *login* is our account there.
    *host* is our own name there; "" for that of the gateway. *challenge* says how it logs in without a certificate.
    """

    name: str
    gateway: str
    asserts: tuple[str, ...]
    carries: tuple[str, ...]
    priority: int = 0
    weight: int = 1
    main_number: str = ""
    emergency: bool = False
    channels: int | None = None
    calls_per_second: int | None = None
    longest_call: int = 240
    login: TrunkLogin | None = None
    ping: int = 0
    minutes: int | None = None
    keying: Keying | None = None
    host: str = ""
    challenge: TrunkChallenge | None = None


class TrunkTable:
    """The trunks of one topology. *ours* are the first digits of the numbers of applications. Immutable."""

    def __init__(self, trunks: Iterable[TrunkRoute], ours: tuple[str, ...] = ()) -> None:
        self.trunks, self._ours = {trunk.name: trunk for trunk in trunks}, ours
        self.hosts = frozenset(trunk.host for trunk in self.trunks.values() if trunk.host)

    def may_assert(self, name: str, number: str) -> bool:
        """Tell whether the trunk *name* may assert the global *number* as a caller.

        If several trunks have first digits of the number, it belongs to those with the most: a provider that asserts all numbers
        does not assert the numbers of a PBX, and none asserts those of an application that has as many digits.
        """
        matches = {trunk.name: longest(trunk.asserts, number) for trunk in self.trunks.values()}
        return matches.get(name, 0) > longest(self._ours, number) and matches[name] == max(matches.values())

    def carrying(self, number: str, call_id: str) -> Sequence[TrunkRoute]:
        """Give the trunks that carry a call to the global *number*, in the order to try them.

        The most digits in common come first, then the lowest priority. Among equals, *call_id* chooses by their weights.
        """
        matches = {trunk.name: longest(trunk.carries, number) for trunk in self.trunks.values()}
        found = [trunk for trunk in self.trunks.values() if matches[trunk.name]]
        if not found[1:]:  # there is nothing to draw
            return found
        return sorted(found, key=lambda one: (-matches[one.name], one.priority, drawn(one, call_id)))

    def taking_emergencies(self) -> Sequence[TrunkRoute]:
        """Give the trunks that take emergency calls, the lowest priority first."""
        return sorted((trunk for trunk in self.trunks.values() if trunk.emergency), key=lambda one: one.priority)


def longest(prefixes: tuple[str, ...], number: str) -> int:
    """Give the length of the longest of *prefixes* that *number* begins with; 0 if there is none."""
    found = 0
    for prefix in prefixes:
        if len(prefix) > found and number.startswith(prefix):
            found = len(prefix)
    return found


def drawn(trunk: TrunkRoute, call_id: str) -> float:
    """Draw a place for *trunk* in the order of one call: over many calls, trunks are first in proportion to their weights."""
    hashed = blake2s(f"{trunk.name} {call_id}".encode("utf-8", "surrogateescape"), digest_size=DRAWN_OCTETS).digest()
    return -log((int.from_bytes(hashed, "big") + 1) / 2 ** (8 * DRAWN_OCTETS)) / trunk.weight
