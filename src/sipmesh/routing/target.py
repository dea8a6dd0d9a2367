"""The next hop of a request: always an identity or a flow, never an address from a message.

Do not change a target. :mod:`sipmesh.routing.outcome` says why they have a handwritten ``__init__``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sipmesh.routing.registrar.binding import Binding
from sipmesh.trust.evidence import LinkKind


class Found(Enum):
    """How a flow of this server was found. It decides the answer if the flow is gone."""

    ROW = auto()  # by a registration on this server: the caller gets 480
    TOKEN = auto()  # by a token from another server, which has the registration: 430 (RFC 5626 section 5.3.1)
    DIALOG = auto()  # by a dialog token: the user may have returned on another link, so it is looked up again
    PATH = (
        auto()
    )  # by a Path: a server of the user's home pool has sent the request, and has judged it; 430 as for TOKEN


@dataclass(init=False, slots=True)
class FlowTarget:
    """A client's link on this server. *uri* is the Contact, which becomes the Request-URI (RFC 5626 section 5.3).

    *owner* is the hash of the address of record that registered on the link. *q* is the preference among the user's
    contacts. *spares* are other flows to the same device, to be tried in order if this flow is gone. *past* is the number of
    Route entries of other servers to remove.
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
    """A flow of another server of the pool. *binding* has the token that the other server made for it."""

    binding: Binding
    uri: str
    spares: tuple[Target, ...]

    def __init__(self, binding: Binding, uri: str, spares: tuple[Target, ...] = ()) -> None:
        self.binding, self.uri, self.spares = binding, uri, spares

    @property
    def q(self) -> float:
        """The preference among the user's contacts, 0 to 1, highest first."""
        return self.binding.q


@dataclass(init=False, slots=True)
class Carriage:
    """How a request of a carried user goes on to the home pool: by the link *flow*, behind the Route entry *route*.

    *flow* is 0 and *route* is "" for a REGISTER before its user has logged in. *path* is the token of the user's own link in our
    Path.
    """

    flow: int
    route: str
    path: str

    def __init__(self, flow: int, route: str, path: str) -> None:
        self.flow, self.route, self.path = flow, route, path


@dataclass(frozen=True, slots=True)
class AnotherNotifier:
    """A SUBSCRIBE or PUBLISH for *aor*, for which the servers *tried* of our pool could not be reached.

    Another server of the pool is the notifier then, or this one. *identity* is the sender of the request.
    """

    aor: str
    identity: str | None
    tried: frozenset[str]


@dataclass(init=False, slots=True)
class ServerTarget:
    """Servers to try in this order. *kind* is the kind of link to them.

    *instead* is the target to try if none of the servers can be reached. *asks*: the servers are
    asked for a device that they may not know. Then their 404 counts only if no other server answers, and so does their
    absence.
    *carries*: the request is of a user who has logged in there, by us. *again* is what to decide again if none of the servers
    can be reached. *pools*: for a call to a telephone number, the gateway pool of each server: the next pool is tried if the
    trunks of a pool have failed. Of trunks, they are the pools whose trunks carry the number. *through* are the Route entries of
    a call that an application screens.
    """

    names: tuple[str, ...]
    kind: LinkKind
    uri: str
    q: float
    instead: FlowTarget | None
    asks: bool
    carries: Carriage | None
    again: AnotherNotifier | None
    pools: tuple[str, ...]
    through: str

    def __init__(
        self,
        names: tuple[str, ...],
        kind: LinkKind,
        uri: str,
        q: float = 1.0,
        instead: FlowTarget | None = None,
        *,
        asks: bool = False,
        carries: Carriage | None = None,
        again: AnotherNotifier | None = None,
        pools: tuple[str, ...] = (),
        through: str = "",
    ) -> None:
        self.names, self.kind, self.uri, self.q, self.instead, self.asks = names, kind, uri, q, instead, asks
        self.carries, self.again, self.pools, self.through = carries, again, pools, through


Target = FlowTarget | RemoteFlowTarget | ServerTarget


def server_of(target: Target, name: str) -> str:
    """Return the server of ours that a branch goes to by *name*; empty where it goes to a phone here, or to a partner."""
    if isinstance(target, RemoteFlowTarget):
        return target.binding.host
    return name if isinstance(target, ServerTarget) and target.kind is LinkKind.SERVER else ""


def is_carried(target: Target) -> bool:
    """Tell whether a branch passes between a user's link here and the home pool of this user, which judges it."""
    if isinstance(target, FlowTarget):
        return target.found is Found.PATH
    return isinstance(target, ServerTarget) and target.carries is not None
