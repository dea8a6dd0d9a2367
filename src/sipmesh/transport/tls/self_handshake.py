"""A handshake of a new TLS context with itself: it finds a certificate that peers would refuse before it is presented."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL

from sipmesh.errors import SipmeshError
from sipmesh.transport.tls.contexts import Identity, mutual_context
from sipmesh.transport.tls.results import HandshakeError, Progress
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

    from sipmesh.transport.tls.contexts import MutualContext
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
        context = mutual_context(identity, anchors)
    except SSL.Error as error:
        raise SelfHandshakeError(f"OpenSSL does not accept it ({error})") from None
    here, there = socket.socketpair()
    for sock in (here, there):
        sock.settimeout(0)  # non-blocking
    return _shake_hands_with_itself(context, here, there, name)


def _shake_hands_with_itself(
    context: MutualContext, here: socket.socket, there: socket.socket, name: str
) -> tuple[PeerEvidence, ...]:
    ends = {
        Direction.OPENED: context.opened(here, name),
        Direction.ACCEPTED: context.accepted(there),
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
