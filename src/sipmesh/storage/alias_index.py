"""The aliases of users in memory: by alias, and by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class AliasIndex:
    """Finds the user of an alias, and the aliases of a user. Aliases are keys (`sipmesh.routing.identity.alias`)."""

    __slots__ = ("_keys", "_owners")

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._keys: dict[str, Sequence[str]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def copy(self) -> AliasIndex:
        """Return an independent copy."""
        other = AliasIndex()
        other._owners, other._keys = dict(self._owners), dict(self._keys)
        return other

    def owner(self, key: str) -> str:
        """Return the user of an alias, "" if no user has it."""
        return self._owners.get(key, "")

    def of(self, aor: str) -> Sequence[str]:
        """Return the aliases of a user, in the order of their names."""
        return self._keys.get(aor, ())

    def users(self) -> Iterable[str]:
        """Return every user who has an alias."""
        return self._keys.keys()

    def put(self, aor: str, keys: Iterable[str]) -> None:
        """Replace the aliases of a user. An alias that another user has had belongs to *aor* from now on."""
        for key in self._keys.pop(aor, ()):
            if self._owners.get(key) == aor:
                del self._owners[key]
        if kept := tuple(sorted(keys)):
            self._keys[aor] = kept
            self._owners.update(dict.fromkeys(kept, aor))
