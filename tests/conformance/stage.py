"""One case of a suite before the judge: as a link in either role, with the expectations of the case and not the network's.

The findings are those of `judge`, the function that links call. The *stage* looks only at the checks on path and
revocation; who is meant, and for which usage, the case says. The *full* judgement is the verdict itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from sipmesh.trust.authority import Authority
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.trusted_peer import TrustedPeer
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import UNREADABLE, is_authority
from sipmesh.trust.x509.certificate_policies import LINKS, Wanted, unmet
from trust.path_checks import check_path

NOBODY = "nobody.invalid"  # the entry of a case that means no server
PATH = ("certificate", "issuer", "second-engine", "validity", "leaf", "key", "issuing", "constraints")


class Role(StrEnum):
    """Who the peer is: the server of a link that we opened, or the client of a link that we accepted."""

    SERVER = "server"
    CLIENT = "client"

    @property
    def direction(self) -> Direction:
        return Direction.OPENED if self is Role.SERVER else Direction.ACCEPTED


@dataclass(frozen=True)
class Trial:
    """What a case hands in. *crls* is None where the suite comes without CRLs: then none is needed."""

    name: str
    good: bool
    shown: tuple[bytes, ...]
    anchors: tuple[bytes, ...]
    at: datetime
    crls: tuple[bytes, ...] | None = None
    meant: str = ""  # the name that the case means, where it is a DNS name
    names_fit: bool = True  # whether the leaf has the name that the case means, by the rules of the suite
    asks_usage: frozenset[Role] = frozenset()  # the roles whose usage the case is about
    named: tuple[str, str] | None = None  # the name that the case means: (kind, value)
    made_for: Role = Role.SERVER  # the role that the suite has in mind
    wanted: Wanted = LINKS
    asks_policies: bool = False  # whether the case is about policies and lists, and not about servers
    whole_path: bool = True  # whether the lists are about the whole path, or about the leaf alone


@dataclass(frozen=True)
class Outcome:
    """What came of a trial, and which checks refused it."""

    stage: tuple[str, ...] = ()
    full: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """At the path-and-revocation stage."""
        return not self.stage


def run(trial: Trial, role: Role) -> Outcome:
    """Judge *trial* as a link in *role*."""
    anchors = tuple(filter(None, map(_read, trial.anchors)))
    lists = _lists(trial.crls or ())
    meant = trial.meant or NOBODY
    names = frozenset({meant})
    authority = Authority("suite", anchors, lists)
    # The usage of the other role is let pass unless the case is about usage: most suites only know servers.
    usage = ClientUsage.STRICT if role in trial.asks_usage else ClientUsage.SERVER_OK
    peer = TrustedPeer(meant, None, None, names, names, names, authority, usage)
    opened = role is Role.SERVER
    policy = LinkPolicy(
        LinkKind.PARTNER,
        "here",
        names,
        TrustedPeers((peer,)),
        meant=peer if opened else None,
        meant_name=meant if opened else "",
    )
    evidence = PeerEvidence(role.direction, LinkKind.PARTNER, ("", 0), ("", 0), trial.shown)
    verdict = judge(evidence, policy, at=trial.at)
    refused = {finding.check: finding for finding in verdict.failed}
    told = [f"{check}: {refused[check].saw}" for check in PATH if check in refused]
    if role in trial.asks_usage and "usage" in refused:
        told.append(f"usage: {refused['usage'].saw}")
    if not trial.names_fit:
        told.append("name: not the one that the case means")
    path = Evaluation(evidence, policy, trial.at).trail.path
    told += [f"policies: {fault}" for fault in unmet(path, trial.wanted)] if path else []
    if trial.crls is not None and path:
        asked = path if trial.whole_path else path[:2]
        finding = check_path(asked, lists, at=trial.at, grace=timedelta(0))
        told += [] if finding.passed else [f"revocation: {finding.saw}"]
    others = [
        f"{check}: {finding.saw}"
        for check, finding in refused.items()
        if trial.crls is not None or check != "revocation"
    ]
    return Outcome(tuple(told), tuple(others))


def _read(der: bytes) -> x509.Certificate | None:
    """Read an anchor as a topology does."""
    try:
        held = x509.load_der_x509_certificate(der)
        return held if is_authority(held) else None
    except UNREADABLE:
        return None  # no operator could put it into a topology


def _lists(ders: tuple[bytes, ...]) -> RevocationLists:
    held, faults = [], []
    for der in ders:
        try:
            held.append(RevocationList.load(der))
        except UnusableListError as wrong:
            faults.append(str(wrong))
    return RevocationLists(held, tuple(faults))
