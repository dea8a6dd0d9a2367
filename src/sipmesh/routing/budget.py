"""A budget for one resource: a limit for each principal and for all. If it is full, the oldest entry is displaced."""

from __future__ import annotations

from typing import Generic, TypeVar

Held = TypeVar("Held")


class Budget(Generic[Held]):
    """Entries of principals, oldest first. A principal is the name of an address, a user or a server.

    A new entry is always accepted. If its principal has *each* entries, the oldest of these is displaced. If there are
    *total* entries, the oldest entry of the principal with the most entries is displaced. So a principal never loses an
    entry to a principal that has more.
    """

    __slots__ = ("_by_principal", "displaced", "each", "size", "total")

    def __init__(self, each: int, total: int) -> None:
        self.each, self.total = each, total
        self.displaced = 0  # entries displaced since the start
        self.size = 0
        self._by_principal: dict[str, dict[Held, None]] = {}

    def __len__(self) -> int:
        return self.size

    def count(self, principal: str) -> int:
        """Give the number of entries of *principal*."""
        return len(self._by_principal.get(principal, ()))

    def all(self) -> list[Held]:
        """List all entries."""
        return [thing for things in self._by_principal.values() for thing in things]

    def of(self, principal: str) -> list[Held]:
        """List the entries of *principal*, oldest first."""
        return list(self._by_principal.get(principal, ()))

    def add(self, principal: str, thing: Held) -> Held | None:
        """Add *thing* for *principal*. Returns the entry that was displaced, or None."""
        things = self._by_principal.get(principal)
        if things is not None and thing in things:
            return None
        displaced = None
        if things is not None and len(things) >= self.each:
            displaced = self.displace(principal)
        elif self.size >= self.total:
            displaced = self.displace_one()
        if displaced is not None or things is None:  # the displaced entry may have been the last in the dict
            things = self._by_principal.setdefault(principal, {})
        things[thing] = None
        self.size += 1
        return displaced

    def hold(self, principal: str, thing: Held) -> None:
        """Add *thing* and displace nothing: another process has accepted it, and displaces what is too much."""
        things = self._by_principal.setdefault(principal, {})
        if thing not in things:
            things[thing] = None
            self.size += 1

    def displace_one(self) -> Held | None:
        """Remove and return the oldest entry of the principal with the most entries; None if there are no entries."""
        if not self._by_principal:
            return None
        return self.displace(max(self._by_principal, key=self.count))

    def oldest(self, principal: str) -> Held | None:
        """Give the oldest thing that is held for *principal*; None if there is none."""
        held = self._by_principal.get(principal)
        return next(iter(held)) if held else None

    def oldest_of_most(self) -> Held | None:
        """Give the oldest thing of the principal that holds most; None if nothing is held."""
        return self.oldest(max(self._by_principal, key=self.count)) if self._by_principal else None

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
        """Remove *thing*; False if *principal* does not have it."""
        things = self._by_principal.get(principal)
        if things is None or thing not in things:
            return False
        del things[thing]
        self.size -= 1
        if not things:
            del self._by_principal[principal]
        return True
