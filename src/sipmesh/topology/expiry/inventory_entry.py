"""One thing that expires: what it is, what fails when it ends, and the command that prevents it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sipmesh.topology.expiry.urgency import Urgency
from sipmesh.trust.formatting import tell_span, tell_time

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.expiry.validity import DatedItem


class ExpiringKind(StrEnum):
    """The kinds of things that expire."""

    SERVER = "server"
    CLIENTS = "certificate for clients"
    ONE_PARTNER = "certificate for a partner"
    SIGNER = "signer"
    ISSUING = "issuing CA"
    ROOT = "root"
    PARTNER = "partner anchor"
    LIST = "revocation list"
    SOURCE = "source"


_CALLED = {
    ExpiringKind.SERVER: "certificate of",
    ExpiringKind.CLIENTS: "certificate for the clients of",
    ExpiringKind.ONE_PARTNER: "certificate for a partner of",
    ExpiringKind.SIGNER: "document signer of",
}


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One thing that expires. *in_use* is from a running server, *on_disk* from the file; None means unknown.

    *owner* is our organisation or a partner. *stops* says what fails when it expires, and *command* prevents it. *note*
    describes another problem and what to do, such as a certificate in use that is not the certificate on disk. *broken*
    means that it cannot be used now, even if its dates are valid. *old* means that a newer CRL is overdue.
    """

    what: ExpiringKind
    name: str
    owner: str
    level: Urgency
    stops: str
    command: str
    in_use: DatedItem | None = None
    on_disk: DatedItem | None = None
    outside: bool = False
    note: str = ""
    broken: bool = False
    old: bool = False

    @property
    def urgent(self) -> bool:
        """Whether a monitoring program should raise an alarm."""
        return self.broken or self.level.urgent

    @property
    def item(self) -> DatedItem | None:
        """The relevant item: what is in use if known, else what is on disk."""
        return self.in_use or self.on_disk

    def sentence(self, at: datetime) -> str:
        """Give the whole entry in one sentence."""
        what = _CALLED.get(self.what, str(self.what))
        what = f"{what} {self.name}"
        if self.broken or self.item is None:
            return f"the {what}: {self.note}"
        left, when = self.item.ends - at, tell_time(self.item.ends)
        if self.item.begins > at:
            begins = f"is valid only in {tell_span(self.item.begins - at)} ({tell_time(self.item.begins)})"
            why = "the clock of its issuer was ahead, or the clock here is behind"
            return f"the {what} {begins}: {self.stops}; {why}; correct the clocks, then: {self.command}"
        if self.what is ExpiringKind.SOURCE:
            state = "has expired" if self.level is Urgency.PAST else f"is valid for {tell_span(left)} more"
            return f"the data of the {what} {state} ({when}); then {self.stops}; {self.command}"
        if self.old and self.level is Urgency.FINE:
            made = (
                f"was signed {tell_span(self.item.begins - at)} ({tell_time(self.item.begins)}), and a new list is due "
                "each day"
            )
            return f"the {what} {made}; from {when} on {self.stops}; to correct it: {self.command}"
        if self.level is Urgency.PAST:
            return f"the {what} expired {tell_span(left)} ({when}): {self.stops}; to correct it: {self.command}"
        return f"the {what} expires in {tell_span(left)} ({when}); then {self.stops}; to renew it: {self.command}"
