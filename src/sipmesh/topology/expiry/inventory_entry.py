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
    DEVICE = "device"
    ISSUING = "issuing CA"
    ROOT = "root"
    PARTNER = "partner anchor"
    LIST = "CRL"
    SOURCE = "source"


_CALLED = {
    ExpiringKind.SERVER: "certificate of",
    ExpiringKind.CLIENTS: "certificate for the clients of",
    ExpiringKind.ONE_PARTNER: "certificate for a partner of",
    ExpiringKind.SIGNER: "document signer of",
    ExpiringKind.DEVICE: "certificate of the device",
}


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One thing that expires. *in_use* is from a running server, *on_disk* from the file; None means unknown.

    *owner* is our organisation or a partner. *stops* says what fails when it expires, and *command* prevents it. *note*
    describes another problem, such as a certificate in use that is not the certificate on disk, and *repair* what to do about
    it. *broken* means that it cannot be used now, even if its dates are valid. *old* means that a newer CRL is overdue.
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
    repair: str = ""
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

    @property
    def notice(self) -> str:
        """The other problem, and what to do about it."""
        return "; ".join(filter(None, (self.note, self.repair)))

    def told(self, at: datetime) -> str:
        """Tell what is so, without the remedy."""
        what = f"{_CALLED.get(self.what, str(self.what))} {self.name}"
        if self.broken or self.item is None:
            return f"the {what}: {self.note}"
        left, when = self.item.ends - at, tell_time(self.item.ends)
        if self.item.begins > at:
            begins = f"is valid only in {tell_span(self.item.begins - at)} ({tell_time(self.item.begins)})"
            return f"the {what} {begins}: {self.stops}; the clock of its issuer was ahead, or the clock here is behind"
        if self.what is ExpiringKind.SOURCE:
            state = "has expired" if self.level is Urgency.PAST else f"is valid for {tell_span(left)} more"
            return f"the data of the {what} {state} ({when}); then {self.stops}"
        if self.old and self.level is Urgency.FINE:
            signed = f"was signed {tell_span(self.item.begins - at)} ({tell_time(self.item.begins)})"
            return f"the {what} {signed}, and a new CRL is due each day; from {when} on {self.stops}"
        if self.level is Urgency.PAST:
            return f"the {what} expired {tell_span(left)} ({when}): {self.stops}"
        return f"the {what} expires in {tell_span(left)} ({when}); then {self.stops}"

    def remedy(self, at: datetime) -> str:
        """Tell what to do; empty if that is not known."""
        if self.broken or self.item is None:
            return self.repair
        return f"correct the clocks, then: {self.command}" if self.item.begins > at else self.command

    def sentence(self, at: datetime) -> str:
        """Give the whole entry in one sentence."""
        return "; ".join(filter(None, (self.told(at), self._purpose(at) + self.remedy(at))))

    def _purpose(self, at: datetime) -> str:
        """Tell what the remedy is for, if it is a command alone."""
        if self.broken or self.item is None or self.item.begins > at or self.what is ExpiringKind.SOURCE:
            return ""
        is_late = self.level is Urgency.PAST or (self.old and self.level is Urgency.FINE)
        return "to correct it: " if is_late else "to renew it: "
