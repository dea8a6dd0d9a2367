"""The evidence of a link: what is known of the peer before the judge decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which side opened the link, from our point of view."""

    ACCEPTED = "accepted"
    OPENED = "opened"


class LinkKind(StrEnum):
    """The kind of a link. For an accepted link only the listener decides it."""

    CLIENT = "client"
    SERVER = "server"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class EngineError:
    """One error of OpenSSL's path check, with the depth of the certificate (0 is the leaf)."""

    depth: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class HandshakeFailure:
    """Why the handshake did not finish. *code* is a verdict code, such as ``protocol-too-old``."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The result of the TLS negotiation.

    *group* is the key-exchange group, or "" if it is not known. *sni* is the server name that the peer asked for.
    *protocol* is the application protocol (ALPN), or "". No check looks at it.
    """

    version: str = ""
    cipher: str = ""
    group: str = ""
    sni: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class PeerEvidence:
    """The input of the judge.

    *presented* are DER certificates, leaf first: as the peer presented them, or as OpenSSL built the chain. *stapled* is the OCSP
    response that the peer has stapled, in DER; empty if it has not, or was not asked to.
    """

    direction: Direction
    kind: LinkKind
    remote: tuple[str, int]
    local: tuple[str, int]
    presented: tuple[bytes, ...] = ()
    engine_errors: tuple[EngineError, ...] = ()
    tls: TlsFacts = TlsFacts()
    failure: HandshakeFailure | None = None
    stapled: bytes = b""
