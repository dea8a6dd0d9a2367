"""What principals may hold of one resource: so many each and so many in all, and the oldest of the greediest gives way."""

from __future__ import annotations

from typing import Generic, TypeVar

Held = TypeVar("Held")


class Budget(Generic[Held]):
    """Things that are held for principals, oldest first; a principal is an address, a user or a server, by its name.

    A newcomer always gets its place. Where its principal holds *each* things already, the oldest of that principal gives
    way; where *total* things are held, the oldest of the principal that holds most. So nobody loses a place to somebody
    who holds more.
    """

    __slots__ = ("_by_principal", "displaced", "each", "size", "total")

    def __init__(self, each: int, total: int) -> None:
        self.each, self.total = each, total
        self.displaced = 0  # how many have given way since the start
        self.size = 0
        self._by_principal: dict[str, dict[Held, None]] = {}

    def __repr__(self) -> str:
        return f"<Budget {self.size} held for {len(self._by_principal)} principals, {self.displaced} displaced>"

    def __len__(self) -> int:
        return self.size

    def count(self, principal: str) -> int:
        """Tell how many things are held for *principal*."""
        return len(self._by_principal.get(principal, ()))

    def all(self) -> list[Held]:
        """List everything that is held."""
        return [thing for held in self._by_principal.values() for thing in held]

    def of(self, principal: str) -> list[Held]:
        """List what is held for *principal*."""
        return list(self._by_principal.get(principal, ()))

    def add(self, principal: str, thing: Held) -> Held | None:
        """Hold *thing* for *principal*; returns what has to give way, and is not held any more."""
        held = self._by_principal.get(principal)
        if held is not None and thing in held:
            return None
        gone = None
        if held is not None and len(held) >= self.each:
            gone = self.displace(principal)
        elif self.size >= self.total:
            gone = self.displace_one()
        if gone is not None or held is None:  # what gave way may have taken the last place of its principal with it
            held = self._by_principal.setdefault(principal, {})
        held[thing] = None
        self.size += 1
        return gone

    def displace_one(self) -> Held | None:
        """Let go of the oldest thing of the principal that holds most; None where nothing is held."""
        if not self._by_principal:
            return None
        return self.displace(max(self._by_principal, key=self.count))

    def oldest(self, principal: str) -> Held | None:
        """Give the oldest thing that is held for *principal*; None if there is none."""
        held = self._by_principal.get(principal)
        return next(iter(held)) if held else None

    def oldest_of_each(self) -> list[tuple[str, Held]]:
        """List each principal with the oldest thing that is held for it, the principal that holds most first."""
        by_count = sorted(self._by_principal.items(), key=lambda item: -len(item[1]))
        return [(principal, next(iter(held))) for principal, held in by_count]

    def displace(self, principal: str) -> Held:
        """Let go of the oldest thing that is held for *principal*, which holds something."""
        oldest = next(iter(self._by_principal[principal]))
        self.remove(principal, oldest)
        self.displaced += 1
        return oldest

    def remove(self, principal: str, thing: Held) -> bool:
        """Let go of *thing*; False if it is not held for *principal*."""
        held = self._by_principal.get(principal)
        if held is None or thing not in held:
            return False
        del held[thing]
        self.size -= 1
        if not held:
            del self._by_principal[principal]
        return True
