"""A handshake of a new TLS context with itself: it finds a certificate that peers would refuse before it is presented."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from sipmesh.errors import SipmeshError
from sipmesh.transport.tls.contexts import ClientContext, ClientPortContext, Identity, MutualContext
from sipmesh.transport.tls.results import HandshakeError, Progress
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

    from sipmesh.transport.tls.contexts import AcceptingContext, OpeningContext
    from sipmesh.transport.tls.pyopenssl import PyOpenSslTls

TURNS: Final = 16  # steps of both ends together: a handshake takes three steps of each
NOWHERE: Final = ("rehearsal", 0)


class SelfHandshakeError(SipmeshError):
    """OpenSSL cannot build the context; the text says why."""


def check_handshake(identity: Identity, anchors: Iterable[x509.Certificate], name: str) -> tuple[PeerEvidence, ...]:
    """Connect *identity* with itself, as two of our servers would; return what each end saw of the other.

    The first evidence is of the end that opens the link to *name*, the second of the end that accepts it. If an end refuses,
    only its evidence is returned, with the failure: the other end has only seen an alert.

    Raises:
        SelfHandshakeError: OpenSSL does not accept the certificate or the key.
    """
    try:
        context = MutualContext(identity, anchors)
    except SSL.Error as error:
        raise SelfHandshakeError(f"OpenSSL does not accept it ({error})") from None
    return _shake_hands_of(context, context, name)


def check_client_handshake(identity: Identity, anchors: Iterable[x509.Certificate], name: str) -> PeerEvidence:
    """Connect a client that has *anchors* with a client port that presents *identity*; return what the client saw.

    Raises:
        SelfHandshakeError: OpenSSL does not accept the certificate or the key, or the server has refused.
    """
    try:
        opening, accepting = ClientContext(anchors), ClientPortContext(identity)
    except SSL.Error as error:
        raise SelfHandshakeError(f"OpenSSL does not accept it ({error})") from None
    seen = _shake_hands_of(opening, accepting, name)[0]
    if seen.direction is Direction.ACCEPTED:
        raise SelfHandshakeError(f"a client cannot connect ({seen.failure and seen.failure.text})")
    return seen


def _shake_hands_of(opening: OpeningContext, accepting: AcceptingContext, name: str) -> tuple[PeerEvidence, ...]:
    here, there = socket.socketpair()
    for sock in (here, there):
        sock.settimeout(0)  # non-blocking
    ends = {
        Direction.OPENED: opening.opened(here, name),
        Direction.ACCEPTED: accepting.accepted(there),
    }
    try:
        refused = _shake_hands(ends)
        if refused is not None:
            direction, failure = refused
            return (_evidence(direction, ends[direction], failure),)
        return tuple(_evidence(direction, tls, None) for direction, tls in ends.items())
    finally:
        for tls in ends.values():
            tls.close()


def _shake_hands(ends: dict[Direction, PyOpenSslTls]) -> tuple[Direction, HandshakeFailure] | None:
    """Let both ends take their steps in turn; return the end that refuses and its failure, or None if both are done."""
    waiting = list(ends)
    for _ in range(TURNS):
        for direction in list(waiting):
            try:
                if ends[direction].handshake() is Progress.DONE:
                    waiting.remove(direction)
            except HandshakeError as failed:
                return direction, failed.failure
        if not waiting:
            return None
    return waiting[0], HandshakeFailure("handshake-timeout", f"not finished after {TURNS} turns")


def _evidence(direction: Direction, tls: PyOpenSslTls, failure: HandshakeFailure | None) -> PeerEvidence:
    return PeerEvidence(
        direction=direction,
        kind=LinkKind.SERVER,
        remote=NOWHERE,
        local=NOWHERE,
        presented=tls.presented(),
        engine_errors=tls.engine_errors(),
        tls=tls.facts(),
        failure=failure,
    )
