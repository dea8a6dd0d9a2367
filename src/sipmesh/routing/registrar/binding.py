"""A binding: an address of record, a Contact, and the flow to the Contact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sipmesh.sip.text import ascii_lower


class BindingKey(NamedTuple):
    """The key of a row; a new row replaces the row with its key. *name*: instance and reg-id, or the Contact."""

    aor: str
    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """One Contact of *aor* and the flow that it registered on (RFC 3261 section 10.3, RFC 5626 section 6).

    *contact* is the URI as received. It becomes the Request-URI on the flow, and is never resolved. *server*, *incarnation*
    and *flow* identify the link. *token* is the flow token that *server* made. *expires_at* is in epoch seconds.
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

    @property
    def key(self) -> BindingKey:
        """The key of this row. A row with the same key is of the same device, and replaces this row."""
        return BindingKey(self.aor, row_name(self.contact, self.instance, self.reg_id))


def row_name(contact: str, instance: str | None, reg_id: int | None) -> str:
    """Give the name of a row: instance and reg-id if there is an instance, otherwise the Contact.

    RFC 5626 section 6 replaces a row by instance only if there is a reg-id. We do it without a reg-id too: baresip and
    linphone send only the instance, and a new port after each start, so every restart would leave a dead row. UUID URNs are
    compared without case (RFC 9562 section 4).
    """
    return contact if instance is None else f"{ascii_lower(instance)};{reg_id or 0}"


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a registration to the rows: first *drop*, then *put*. They are applied together or not at all."""

    put: tuple[Binding, ...] = ()
    drop: tuple[BindingKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.drop)
