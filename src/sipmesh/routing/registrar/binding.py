"""A binding: one address of record, one Contact, and the flow that leads to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from sipmesh.sip.text import ascii_lower

NEVER: Final = inf
"""The end of a row of another server: that server alone knows when the row ends."""


class BindingKey(NamedTuple):
    """What a later registration replaces: *name* is the device and its flow number, or the Contact of a plain client."""

    aor: str
    name: str


@dataclass(init=False, slots=True)
class Binding:
    """One Contact of *aor* and the flow it registered on (RFC 3261 section 10.3, RFC 5626 section 6).

    *contact* is the URI as the client wrote it: it goes into Request-URIs down the flow and is never resolved.
    *server*, *incarnation* and *flow* name the link, *token* is what that server calls it. *interval_s* is the time that was
    granted. *expires_at* is in seconds of a clock that only *server* reads and that is never set; in the eyes of every other
    server it is `NEVER`, because the row lives until its server removes it.

    Only `renew` changes a row. The ``__init__`` is written out: one that a dataclass generates costs as much as a decision.
    """

    aor: str
    contact: str
    instance: str | None
    reg_id: int | None
    q: float
    call_id: str
    cseq: int
    server: str
    incarnation: int
    flow: int
    token: str
    expires_at: float
    user_agent: str = ""
    interval_s: int = 0

    def __init__(
        self,
        aor: str,
        contact: str,
        instance: str | None,
        reg_id: int | None,
        q: float,
        call_id: str,
        cseq: int,
        server: str,
        incarnation: int,
        flow: int,
        token: str,
        expires_at: float,
        user_agent: str = "",
        interval_s: int = 0,
    ) -> None:
        self.aor, self.contact, self.instance, self.reg_id, self.q = aor, contact, instance, reg_id, q
        self.call_id, self.cseq = call_id, cseq
        self.server, self.incarnation, self.flow, self.token = server, incarnation, flow, token
        self.expires_at, self.user_agent, self.interval_s = expires_at, user_agent, interval_s

    def renew(self, call_id: str, cseq: int, at: float) -> None:
        """Let the row live as long again from the instant *at*, by a REGISTER with that Call-ID and CSeq."""
        self.call_id, self.cseq = call_id, cseq
        self.expires_at = at + self.interval_s

    @property
    def key(self) -> BindingKey:
        """Tell which row this is; a row with the same key is the same device and makes room for this one."""
        return BindingKey(self.aor, row_name(self.contact, self.instance, self.reg_id))


def row_name(contact: str, instance: str | None, reg_id: int | None) -> str:
    """Name a row by instance and reg-id if the client gave an instance, else by its Contact.

    RFC 5626 section 6 replaces by instance only where a reg-id stands beside it. We do so without one as well: baresip
    and linphone send the instance alone and a new port with each start, and every restart would leave a dead row.
    URNs of UUIDs are compared without case (RFC 9562 section 4).
    """
    return contact if instance is None else f"{ascii_lower(instance)};{reg_id or 0}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a registration does to the rows: *drop* first, then *put*; all of it or nothing."""

    put: tuple[Binding, ...] = ()
    drop: tuple[BindingKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.drop)
