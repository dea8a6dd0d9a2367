"""Judge a certificate file as a server would judge a peer with that certificate: every check, without a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.cli.diagnosis.tlsa_look_up import ask_for_tlsa
from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.view import view
from sipmesh.transport.tls.path_check import path_errors, recheck_path
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.role import Role
from sipmesh.trust.x509.sip_identity import identities

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.verdict import Verdict


class ConnectsAs(StrEnum):
    """The role in which the owner of a certificate connects."""

    SERVER = "server"
    PARTNER = "partner"
    FRONT_END = "front-end"
    EDGE = "edge"
    APPLICATION = "application"

    @property
    def kind(self) -> LinkKind:
        """The kind of port that it connects to."""
        return LinkKind.PARTNER if self is ConnectsAs.PARTNER else LinkKind.SERVER


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """The verdict of *server* on a certificate; *surprise* says that the topology has another role for its owner."""

    server: str
    kind: LinkKind
    verdict: Verdict
    surprise: str = ""

    @property
    def good(self) -> bool:
        """Whether the server would accept the peer, and in the role that was asked for."""
        return self.verdict.accepted and not self.surprise


def judge_file(file: Path, loaded: Loaded, comes_as: ConnectsAs | None, server: str) -> JudgedFile:
    """Judge the chain in *file* as *server* would, or as the first server to which its owner could connect.

    Raises `OperatorError` if the file has no certificate, or the topology has no such server.
    """
    chain = _read(file)
    connects_as = comes_as or _guess(chain, loaded)
    judging = view(loaded, server or _server_for(chain, loaded, connects_as))
    kind = connects_as.kind
    policy, at = judging.accept_policy(kind), datetime.now(UTC)
    if kind is LinkKind.PARTNER:
        ask_for_tlsa(loaded, identities(chain[0]).usable, at)
    verdict = judge(recheck_path(_evidence(file, chain, judging, kind), policy, at), policy, at=at)
    return JudgedFile(judging.name, kind, verdict, _surprise(verdict, comes_as))


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return read_certificates(file)
    except UnusableFileError as wrong:
        problem = Problem(file, 0, "", str(wrong), "name a PEM or DER file, the leaf first")
        raise OperatorError("there is nothing to explain", (problem,)) from None


def _guess(chain: list[x509.Certificate], loaded: Loaded) -> ConnectsAs:
    """Return partner for a certificate with a name of a partner, and server for any other."""
    theirs = {name for partner in loaded.topology.federation.partners for name in partner.identities}
    return ConnectsAs.PARTNER if theirs & set(identities(chain[0]).usable) else ConnectsAs.SERVER


def _server_for(chain: list[x509.Certificate], loaded: Loaded, connects_as: ConnectsAs) -> str:
    """Return the first server with such a port that is not the owner of the certificate."""
    mine = set(identities(chain[0]).usable)
    wanted = Role.EDGE if connects_as is ConnectsAs.PARTNER else Role.FRONT_END
    servers = [server.name for pool in loaded.topology.pools if pool.role is wanted for server in pool.servers]
    if not servers:
        raise OperatorError(
            f"the topology has no {wanted} to which a {connects_as} could connect; name a server with --server"
        )
    others = [name for name in servers if name not in mine]
    if not others:
        raise OperatorError(
            f"{servers[0]} would connect to itself: the topology has no other {wanted}; name a server with --server"
        )
    return others[0]


def _evidence(file: Path, chain: list[x509.Certificate], judging: ServerView, kind: LinkKind) -> PeerEvidence:
    return PeerEvidence(
        direction=Direction.ACCEPTED,
        kind=kind,
        remote=(file.name, 0),
        local=("", 0),
        presented=tuple(certificate.public_bytes(Encoding.DER) for certificate in chain),
        engine_errors=path_errors(chain, judging.anchors(kind)),
    )


def _surprise(verdict: Verdict, comes_as: ConnectsAs | None) -> str:
    """Return a sentence if the topology has another role for the owner than *comes_as*, else the empty text."""
    if comes_as in {None, ConnectsAs.SERVER, ConnectsAs.PARTNER} or verdict.peer is None:
        return ""
    if str(verdict.peer.role) == comes_as:
        return ""
    return f"it would be accepted, but as {verdict.peer.role}: that is the role of {verdict.peer.name} in the topology"
