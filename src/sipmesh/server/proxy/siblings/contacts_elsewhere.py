"""Whose Contact an address is, at each other process of this server: a phone without a GRUU transfers calls to a Contact.

The registrations of another process are read by their user. So each process reports its Contacts to the others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ContactsElsewhere:
    """The Contacts that other processes have reported."""

    def __init__(self) -> None:
        self._of: dict[int, dict[str, list[str]]] = {}  # by process, and by address: a user for each row

    def told(self, process: int, payload: bytes) -> None:
        """Another process has a row more or less."""
        address, aor, is_added = json.loads(payload)
        known = self._of.setdefault(process, {})
        aors = known.setdefault(address, [])
        if is_added:
            aors.append(aor)
        elif aor in aors:
            aors.remove(aor)
        if not aors:
            del known[address]

    def process_ended(self, process: int) -> None:
        """Forget its Contacts."""
        self._of.pop(process, None)

    def aors_at(self, address: str) -> Iterable[str]:
        """Give the users with a Contact of that address at other processes."""
        return [aor for known in self._of.values() for aor in known.get(address, ())]
