"""Which records are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_record import CallRecord

MOST_ON_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Records that began at *since* or later, and before *until*, of or for one of *names*; all of them if there are none.

    A name is the address of a user, ``bob@example.com``, or a domain. *only* is INVITE or MESSAGE, or empty. *call* is a Call-ID
    or the id of a record. *before* is the id of the last record of the page before.
    """

    names: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    failed: bool = False
    up: bool = False
    only: str = ""
    call: str = ""
    before: str = ""
    most: int = MOST_ON_PAGE

    def matches(self, record: CallRecord) -> bool:
        """Tell whether *record* is asked for."""
        return (
            (self.since is None or record.start >= self.since)
            and (self.until is None or record.start < self.until)
            and (not self.failed or record.has_failed)
            and (not self.up or record.is_up)
            and (not self.only or record.method == self.only)
            and (not self.call or self.call in (record.call_id, record.id))
            and (not self.names or not self.names.isdisjoint(names_of(record)))
        )

    def page(self, records: Iterable[CallRecord]) -> tuple[list[CallRecord], bool]:
        """Give the newest records that are asked for, newest first, and whether there are more."""
        found = sorted(filter(self.matches, records), key=lambda record: (record.start, record.id), reverse=True)
        if self.before:
            at = next((n for n, record in enumerate(found, 1) if record.id == self.before), len(found))
            found = found[at:]
        return found[: self.most], len(found) > self.most


def names_of(record: CallRecord) -> frozenset[str]:
    """Give the names by which *record* is found: both users, and their domains."""
    users = (record.caller, record.callee, record.answered_by)
    found = {ascii_lower(user) for user in users if user}
    return frozenset(found | {user.rpartition("@")[2] for user in found})
