"""What a link knows of its peer before anybody judges it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Who opened the link, seen from us."""

    ACCEPTED = "accepted"
    OPENED = "opened"


class LinkKind(StrEnum):
    """What a link is; for an accepted link this follows from the listener alone."""

    CLIENT = "client"
    SERVER = "server"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class EngineError:
    """One error that OpenSSL's path check reported, with the depth it stood at (0 is the leaf)."""

    depth: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class HandshakeFailure:
    """Why there is no finished handshake; *code* is a verdict code such as ``protocol-too-old``."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was negotiated.

    *group* is the key-exchange group where the adapter can tell it, *sni* what the peer asked for.
    """

    version: str = ""
    cipher: str = ""
    group: str = ""
    sni: str = ""


@dataclass(frozen=True, slots=True)
class PeerEvidence:
    """Everything the judge may look at.

    *presented* are DER certificates, leaf first, exactly as the peer presented or OpenSSL built them.
    """

    direction: Direction
    kind: LinkKind
    remote: tuple[str, int]
    local: tuple[str, int]
    presented: tuple[bytes, ...] = ()
    engine_errors: tuple[EngineError, ...] = ()
    tls: TlsFacts = TlsFacts()
    failure: HandshakeFailure | None = None
