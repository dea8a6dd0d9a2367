"""Values behind random secrets, each for a limited time; the table has the hashes of the secrets only."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SECRET_OCTETS: Final = 24
"""Random octets of a secret: an attacker cannot try that many."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    ends_at: float
    used_at: float
    owner: str


class SecretTable(Generic[T]):
    """At most *most* values. A value ends *lifetime_s* seconds after it was added, and *idle_s* seconds after its last use.

    *clock* returns seconds that never go back. An owner has at most *most_of_owner* values: a new one displaces the own value
    that was not used for the longest time. In a full table, this is a value of an owner who has the most.
    """

    def __init__(
        self,
        most: int,
        lifetime_s: float,
        clock: Callable[[], float],
        idle_s: float = inf,
        *,
        most_of_owner: float = inf,
    ) -> None:
        self._most_of_owner = most_of_owner
        self._most, self._lifetime_s, self._idle_s, self._clock = most, lifetime_s, idle_s, clock
        self._entries: dict[str, _Entry[T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, value: T, owner: str = "") -> str:
        """Return a new secret for *value* of *owner*."""
        self._remove_ended()
        self._make_room(owner)
        secret, now = secrets.token_urlsafe(SECRET_OCTETS), self._clock()
        self._entries[hash_of(secret)] = _Entry(value, now + self._lifetime_s, now, owner)
        return secret

    def use(self, secret: str, *, counts: bool = True) -> T | None:
        """Return the value behind *secret*, None if there is none or if it has ended; without *counts* it stays idle."""
        entry = self._entries.get(hash_of(secret))
        if entry is None or self._has_ended(entry):
            return None
        if counts:
            entry.used_at = self._clock()
        return entry.value

    def take(self, secret: str) -> T | None:
        """Return the value behind *secret*, and remove it."""
        value = self.use(secret)
        self._entries.pop(hash_of(secret), None)
        return value

    def values(self) -> list[T]:
        """Return the values that have not ended."""
        return [entry.value for entry in self._entries.values() if not self._has_ended(entry)]

    def remove(self, is_meant: Callable[[T], bool]) -> list[T]:
        """Remove the values of which *is_meant* is true; returns those that had not ended."""
        self._remove_ended()
        found = {key: entry.value for key, entry in self._entries.items() if is_meant(entry.value)}
        self._entries = {key: entry for key, entry in self._entries.items() if key not in found}
        return list(found.values())

    def clear(self) -> int:
        """Remove all values; returns how many had not ended."""
        self._remove_ended()
        count = len(self._entries)
        self._entries = {}
        return count

    def _make_room(self, owner: str) -> None:
        counts = Counter(entry.owner for entry in self._entries.values())
        if counts[owner] >= self._most_of_owner:
            displaced = {owner}
        elif len(self._entries) >= self._most:
            largest = max(counts.values())
            displaced = {name for name, count in counts.items() if count == largest}
        else:
            return
        keys = (key for key, entry in self._entries.items() if entry.owner in displaced)
        del self._entries[min(keys, key=lambda key: self._entries[key].used_at)]

    def _has_ended(self, entry: _Entry[T]) -> bool:
        now = self._clock()
        return now >= entry.ends_at or now - entry.used_at >= self._idle_s

    def _remove_ended(self) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if not self._has_ended(entry)}


def hash_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex; a header field of a client may have octets that are not UTF-8."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
