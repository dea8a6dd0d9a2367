"""Whose Contact an address is, at each process of this server: a phone without a GRUU transfers calls to a Contact.

The registrations of another process are read by their user. So a process that looks for the user of an address has to be told.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sipmesh.server.proxy.siblings.channel import CONTACT, packed
from sipmesh.server.proxy.siblings.shared_state import SharedState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.siblings.channel import WorkerChannel
    from sipmesh.server.proxy.siblings.siblings import Siblings


class SharedContacts(SharedState):
    """Tells the other processes of the Contacts in *registrations* of this one, and knows theirs."""

    __slots__ = ("_elsewhere", "_registrations", "_siblings")

    def __init__(self, siblings: Siblings, registrations: Registrations) -> None:
        self._siblings, self._registrations = siblings, registrations
        self._elsewhere: dict[int, dict[str, list[str]]] = {}  # by process, and by address: a user for each row
        registrations.share_contacts(self._changed, self._aors_at)
        siblings.share(self, CONTACT)

    def __repr__(self) -> str:
        return f"<SharedContacts {sum(map(len, self._elsewhere.values()))} elsewhere>"

    def _changed(self, address: str, aor: str, *, is_added: bool) -> None:
        """Tell all processes of a row on a link of ours."""
        self._siblings.tell_all(CONTACT, 0, _row(address, aor, is_added=is_added))

    def joined(self, channel: WorkerChannel) -> None:
        """Tell a new process of all Contacts of ours."""
        for address, aor in self._registrations.contacts_here():
            channel.send(CONTACT, 0, _row(address, aor, is_added=True))

    def told(self, process: int, kind: int, number: int, payload: bytes) -> None:  # noqa: ARG002 - one kind, and no link
        """Another process has a row more or less."""
        address, aor, is_added = json.loads(payload)
        known = self._elsewhere.setdefault(process, {})
        aors = known.setdefault(address, [])
        if is_added:
            aors.append(aor)
        elif aor in aors:
            aors.remove(aor)
        if not aors:
            del known[address]

    def process_ended(self, process: int) -> None:
        """Forget its Contacts."""
        self._elsewhere.pop(process, None)

    def _aors_at(self, address: str) -> Iterable[str]:
        """Give the users with a Contact of that address at other processes."""
        return [aor for known in self._elsewhere.values() for aor in known.get(address, ())]


def _row(address: str, aor: str, *, is_added: bool) -> bytes:
    return packed(address, aor, is_added)
