"""A binding: an address of record, a Contact, and the flow to the Contact."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

from sipmesh.sip.text import ascii_lower

WORKER_MARK: Final = "#"
"""Stands between the name of a server and the number of one of its processes; no host name has it."""

NEVER: Final = inf
"""The end of a row of another server: that server alone knows when the row ends."""


def process_name(server: str, number: int) -> str:
    """Name the process *number* of *server*: a row belongs to the process that has its link."""
    return f"{server}{WORKER_MARK}{number}"


def server_of(process: str) -> str:
    """Give the server of a process."""
    return process.partition(WORKER_MARK)[0]


class BindingKey(NamedTuple):
    """The key of a row; a new row replaces the row with its key. *name*: instance and reg-id, or the Contact."""

    aor: str
    name: str


@dataclass(init=False, slots=True)
class Binding:
    """One Contact of *aor* and the flow that it registered on (RFC 3261 section 10.3, RFC 5626 section 6).

    *contact* is the URI as received. It becomes the Request-URI on the flow, and is never resolved. *server*, *incarnation*
    and *flow* identify the link: *server* is the process that has it (`process_name`), and *host* the server. *token* is the
    flow token that *server* made. *interval_s* is the time that was granted. *expires_at* is in seconds of a clock that only
    *server* reads and that is never set. For every other server it is `NEVER`, because the row lives until its server removes
    it.

    Only `renew` changes a row. The ``__init__`` is written out: a generated one of a dataclass costs as much as a
    decision.
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
    host: str = field(default="", init=False, compare=False, repr=False)
    _key: BindingKey | None = field(default=None, init=False, compare=False, repr=False)

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
        self.host = server_of(server)
        self._key = None

    def renew(self, call_id: str, cseq: int, at: float) -> None:
        """Let the row live as long again from the instant *at*, by a REGISTER with that Call-ID and CSeq."""
        self.call_id, self.cseq = call_id, cseq
        self.expires_at = at + self.interval_s

    @property
    def key(self) -> BindingKey:
        """The key of this row. A row with the same key is of the same device, and replaces this row."""
        key = self._key
        if key is None:
            # The ``__new__`` of a named tuple is written in Python.
            made = (self.aor, row_name(self.contact, self.instance, self.reg_id))
            key = self._key = tuple.__new__(BindingKey, made)
        return key


def row_name(contact: str, instance: str | None, reg_id: int | None) -> str:
    """Give the name of a row: instance and reg-id if there is an instance, otherwise the Contact.

    RFC 5626 section 6 replaces a row by instance only if there is a reg-id. We do it without a reg-id too: baresip and
    linphone send only the instance, and a new port after each start, so every restart would leave a dead row. UUID URNs are
    compared without case (RFC 9562 section 4).
    """
    return contact if instance is None else f"{ascii_lower(instance)};{reg_id or 0}"


@dataclass(init=False, slots=True)
class Changes:
    """The changes of a registration to the rows: first *drop*, then *put*. They are applied together or not at all."""

    put: tuple[Binding, ...]
    drop: tuple[BindingKey, ...]

    def __init__(self, put: tuple[Binding, ...] = (), drop: tuple[BindingKey, ...] = ()) -> None:
        self.put, self.drop = put, drop

    def __bool__(self) -> bool:
        return bool(self.put or self.drop)
