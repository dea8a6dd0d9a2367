"""Judging a certificate file as if it knocked at a server's door: both engines, every check, no connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document.files import UnusableFileError
from sipmesh.topology.document.trust_anchors import read_certificates
from sipmesh.topology.view import view
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.role import Role
from sipmesh.trust.x509.sip_identity import identities

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.verdict import Verdict


class Knocks(StrEnum):
    """As what the owner of a certificate may come."""

    SERVER = "server"
    PARTNER = "partner"
    FRONT_END = "front-end"
    EDGE = "edge"
    APPLICATION = "application"

    @property
    def kind(self) -> LinkKind:
        """The port that it comes to."""
        return LinkKind.PARTNER if self is Knocks.PARTNER else LinkKind.SERVER


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of *server* on a certificate; *surprise* says where the topology has another role for its owner."""

    server: str
    kind: LinkKind
    verdict: Verdict
    surprise: str = ""

    @property
    def good(self) -> bool:
        """Whether it would be let in as what it was said to be."""
        return self.verdict.accepted and not self.surprise


def judge_file(file: Path, loaded: Loaded, comes_as: Knocks | None, server: str) -> Judged:
    """Judge the chain in *file* as *server* would; the server that it would knock at is found if none is named."""
    chain = _read(file)
    knocks = comes_as or _guess(chain, loaded)
    door = view(loaded, server or _door(chain, loaded, knocks))
    verdict = judge(_evidence(file, chain, door, knocks.kind), door.accept_policy(knocks.kind), at=datetime.now(UTC))
    return Judged(door.name, knocks.kind, verdict, _surprise(verdict, comes_as))


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return read_certificates(file)
    except UnusableFileError as wrong:
        problem = Problem(file, 0, "", str(wrong), "name a PEM or DER file, the leaf first")
        raise OperatorError("there is nothing to explain", (problem,)) from None


def _guess(chain: list[x509.Certificate], loaded: Loaded) -> Knocks:
    """A certificate with a name of a partner comes as a partner."""
    theirs = {name for partner in loaded.topology.federation.partners for name in partner.identities}
    return Knocks.PARTNER if theirs & set(identities(chain[0]).usable) else Knocks.SERVER


def _door(chain: list[x509.Certificate], loaded: Loaded, knocks: Knocks) -> str:
    """The first server, other than the certificate's own, that has such a port."""
    mine = set(identities(chain[0]).usable)
    wanted = Role.EDGE if knocks is Knocks.PARTNER else Role.FRONT_END
    doors = [server.name for pool in loaded.topology.pools if pool.role is wanted for server in pool.servers]
    if not doors:
        raise OperatorError(
            f"the topology has no {wanted} to which a {knocks} could connect; name a server with --server"
        )
    others = [name for name in doors if name not in mine]
    if not others:
        raise OperatorError(
            f"{doors[0]} would connect to itself: the topology has no other {wanted}; name a server with --server"
        )
    return others[0]


def _evidence(file: Path, chain: list[x509.Certificate], door: ServerView, kind: LinkKind) -> PeerEvidence:
    return PeerEvidence(
        direction=Direction.ACCEPTED,
        kind=kind,
        remote=(file.name, 0),
        local=("", 0),
        presented=tuple(one.public_bytes(Encoding.DER) for one in chain),
        engine_errors=path_errors(chain, door.anchors(kind)),
    )


def _surprise(verdict: Verdict, comes_as: Knocks | None) -> str:
    """Whether the topology has another role for the owner than the one that was asked for."""
    if comes_as in {None, Knocks.SERVER, Knocks.PARTNER} or verdict.peer is None:
        return ""
    if str(verdict.peer.role) == comes_as:
        return ""
    return f"it would be accepted, but as {verdict.peer.role}: that is the role of {verdict.peer.name} in the topology"
