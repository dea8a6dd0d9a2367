"""What the commands of the control socket answer; on the socket each is a JSON object with these names as its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sipmesh.trust.code import Code
    from sipmesh.trust.evidence import Direction, LinkKind
    from sipmesh.trust.role import Role


@dataclass(frozen=True, slots=True)
class ListenerReply:
    """One port: *accepted* counts the connections since the start."""

    kind: LinkKind
    host: str
    port: int
    accepted: int


@dataclass(frozen=True, slots=True)
class TlsReply:
    """What was agreed in a handshake; empty before its end."""

    version: str
    cipher: str
    group: str


@dataclass(frozen=True, slots=True)
class LinkReply:
    """One live link, with its verdict in short; *age_s* is in seconds."""

    server: str
    id: str
    kind: LinkKind
    direction: Direction
    state: str
    confirmed: bool
    peer: str
    remote: str
    code: Code | None
    tls: TlsReply
    age_s: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class BindingReply:
    """One binding; *link* is the id of its link, if that is one of this server and up.

    *expires* is ISO 8601 in UTC, None for a binding of another server: that server alone knows when it ends.
    """

    user: str
    server: str
    link: str | None
    remote: str | None
    contact: str
    user_agent: str
    expires: str | None


@dataclass(frozen=True, slots=True)
class RegistrationsReply:
    """A page of bindings; *next* is the key to ask for more with, None at the end."""

    bindings: Sequence[BindingReply]
    next: Sequence[str] | None
    registers: bool


@dataclass(frozen=True, slots=True)
class UserReply:
    """What a server knows of one user; *started_at* is ISO 8601 in UTC, *failures* as `LoginFailure.to_json` has them."""

    server: str
    pool: str
    role: Role
    started_at: str
    ready: bool
    home: str | None
    bindings: Sequence[BindingReply]
    failures: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ExplainReply:
    """One verdict, in words and as values."""

    lines: Sequence[str]
    verdict: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClosedReply:
    """How many links a change has closed."""

    closed: int
