"""Where a request may go next: always an identity or a flow, never an address that a message named.

Targets are not changed once made; see :mod:`sipmesh.routing.outcome` for their ``__init__``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sipmesh.routing.registrar.binding import Binding
from sipmesh.trust.evidence import LinkKind


class Found(Enum):
    """What led to a flow of ours, and so what becomes of a request for one that is gone."""

    ROW = auto()  # a registration of ours: the caller learns that the user is not there
    TOKEN = auto()  # another server has the registration: it learns that the flow failed (RFC 5626 section 5.3.1)
    DIALOG = auto()  # a dialog outlives the link it began on: its user may have come back on another


@dataclass(init=False, slots=True)
class FlowTarget:
    """A client's link on this server; *uri* is the Contact that goes into the Request-URI (RFC 5626 section 5.3).

    *owner* is the hash of the address of record that registered on it. *spares* are further flows to the same device, to
    be tried one after the other where this one is gone. *past* are the Route entries of servers that it goes past.
    """

    flow: int
    owner: bytes
    uri: str
    q: float
    found: Found
    spares: tuple[Target, ...]
    past: int

    def __init__(
        self,
        flow: int,
        owner: bytes,
        uri: str,
        q: float = 1.0,
        found: Found = Found.ROW,
        spares: tuple[Target, ...] = (),
        past: int = 0,
    ) -> None:
        self.flow, self.owner, self.uri, self.q, self.found, self.spares = flow, owner, uri, q, found, spares
        self.past = past


@dataclass(init=False, slots=True)
class RemoteFlowTarget:
    """A flow that another server of the pool holds; the row it came from has the token which that server made."""

    binding: Binding
    uri: str
    spares: tuple[Target, ...]

    def __init__(self, binding: Binding, uri: str, spares: tuple[Target, ...] = ()) -> None:
        self.binding, self.uri, self.spares = binding, uri, spares

    @property
    def q(self) -> float:
        """The preference among the user's contacts, highest first."""
        return self.binding.q


@dataclass(init=False, slots=True)
class ServerTarget:
    """Servers that may take the request, tried in this order; *kind* is the kind of link it needs.

    *instead* is where it goes if none of them can be reached.
    """

    names: tuple[str, ...]
    kind: LinkKind
    uri: str
    q: float
    instead: FlowTarget | None

    def __init__(
        self, names: tuple[str, ...], kind: LinkKind, uri: str, q: float = 1.0, instead: FlowTarget | None = None
    ) -> None:
        self.names, self.kind, self.uri, self.q, self.instead = names, kind, uri, q, instead


Target = FlowTarget | RemoteFlowTarget | ServerTarget
