"""The decisions of a simulation: by the judge of links, and by the rules of identity and of home pools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.routing.identity import assertion
from sipmesh.routing.identity.alias import nobody
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.message import Request, parse_head
from sipmesh.topology.builder.hops import PartyKind
from sipmesh.topology.home_pools import front_end_pools, home_by_default
from sipmesh.topology.view import view
from sipmesh.transport.tls.path_check import path_errors, recheck_path
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from sipmesh.routing.identity.alias import OwnerOf
    from sipmesh.topology.builder.hops import LinkHop
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.policy import LinkPolicy
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: *decider* says who decides, *about* says what about. *rule*, *wanted* and *saw* give the reason.

    *judged* is false if no certificate was at hand: then only the topology has decided. *remedies* say what to do.
    """

    decider: str
    about: str
    accepted: bool
    code: str
    rule: str
    wanted: str = ""
    saw: str = ""
    remedies: Sequence[str] = ()
    judged: bool = True


def accepted_link(loaded: Loaded, hop: LinkHop, chain: Sequence[x509.Certificate]) -> Decision:
    """Decide as the target of *hop* about its opener."""
    here = view(loaded, hop.target.name)
    about = f"a {hop.kind} link from {hop.opener.name}"
    if hop.kind is LinkKind.CLIENT:
        told = "the port of phones requests no certificate; a phone proves its user by a login"
        return Decision(here.name, about, accepted=True, code=Code.ACCEPTED, rule="rule R3", saw=told)
    policy = here.accept_policy(hop.kind)
    if not chain:
        return _by_topology(here.name, about, policy, hop.opener.name)
    return _of(here.name, about, _judged(here, policy, hop, chain, Direction.ACCEPTED))


def opened_link(loaded: Loaded, hop: LinkHop, chain: Sequence[x509.Certificate]) -> Decision:
    """Decide as the opener of *hop*, a server of ours, about its target."""
    here = view(loaded, hop.opener.name)
    about, policy = f"a {hop.kind} link to {hop.target.name}", here.open_policy(hop.kind, hop.target.name)
    if not chain:
        return _by_topology(here.name, about, policy, policy.meant.name if policy.meant else hop.target.name)
    return _of(here.name, about, _judged(here, policy, hop, chain, Direction.OPENED))


def link_seen_by_partner(loaded: Loaded, hop: LinkHop, chain: Sequence[x509.Certificate]) -> Decision:
    """Decide as a partner that trusts our root, and knows our edge by the name of its pool or our domains."""
    here = view(loaded, hop.opener.name)
    about, policy = f"a {hop.kind} link from {here.pool.name}", here.policy_on_us(hop.kind)
    if not chain:
        return _by_topology(hop.target.name, about, policy, here.pool.name)
    evidence = _evidence(hop, chain, loaded.authority.anchors, Direction.ACCEPTED)
    return _of(f"{hop.target.name}, if it trusts our root", about, judge(evidence, policy, at=datetime.now(UTC)))


def _judged(
    here: ServerView, policy: LinkPolicy, hop: LinkHop, chain: Sequence[x509.Certificate], direction: Direction
) -> Verdict:
    evidence, at = _evidence(hop, chain, here.anchors(hop.kind), direction), datetime.now(UTC)
    return judge(recheck_path(evidence, policy, at), policy, at=at)


def _evidence(
    hop: LinkHop, chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], direction: Direction
) -> PeerEvidence:
    return PeerEvidence(
        direction=direction,
        kind=hop.kind,
        remote=((hop.opener if direction is Direction.ACCEPTED else hop.target).name, 0),
        local=("", 0),
        presented=tuple(certificate.public_bytes(Encoding.DER) for certificate in chain),
        engine_errors=path_errors(chain, anchors),
    )


def _of(decider: str, about: str, verdict: Verdict) -> Decision:
    reason = verdict.reason
    last = reason or next((one for one in reversed(verdict.findings) if one.passed), None)
    rule, wanted, saw = (last.rule, last.wanted, last.saw) if last is not None else ("", "", "")
    return Decision(decider, about, verdict.accepted, verdict.code, rule, wanted, saw, verdict.remedies)


def _by_topology(decider: str, about: str, policy: LinkPolicy, name: str) -> Decision:
    allowed = name in policy.may_open and name not in policy.blocked
    wanted = f"one of: {', '.join(sorted(policy.may_open)) or 'none'}"
    code = Code.ACCEPTED if allowed else Code.PARTNER_BLOCKED if name in policy.blocked else Code.NOT_IN_TOPOLOGY
    saw = f"{name}; no certificate is at hand, so only the topology has decided"
    remedies = ("to judge a certificate too: add --certificate FILE",)
    return Decision(decider, about, allowed, code, "rule R5", wanted, saw, remedies, judged=False)


def message(loaded: Loaded, hop: LinkHop, user: str, owner_of: OwnerOf = nobody) -> Decision:
    """Decide as the target of *hop* whether its opener may send a message whose From is *user*, outside a dialog."""
    here = view(loaded, hop.target.name)
    about, peer = f"a message of {user} on this link", _peer(here, hop)
    if peer is None:
        return Decision(
            here.name, about, accepted=False, code=Code.NOT_IN_TOPOLOGY, rule="rule R10", saw=hop.opener.name
        )
    sender, request = ServerSender(hop.kind, peer, owner_of), _request(user)
    if hop.kind is LinkKind.PARTNER:
        outcome = assertion.of_border(request, sender)
    else:
        outcome = assertion.of_server(request, sender, peer.asserts)
    wanted = f"a user of: {', '.join(sorted(peer.asserts)) or 'no domain'}"
    if isinstance(outcome, Answer):
        return Decision(here.name, about, False, str(outcome.code), "rule R10", wanted, outcome.why)  # noqa: FBT003
    return Decision(here.name, about, True, Code.ACCEPTED, "rule R10", wanted, outcome)  # noqa: FBT003


def _peer(here: ServerView, hop: LinkHop) -> TrustedPeer | None:
    if hop.kind is LinkKind.PARTNER:
        partner = here.partner_named(hop.opener.name)
        return partner.peer if partner is not None else None
    return here.trusted.get(hop.opener.name)


def _request(user: str) -> Request:
    uri = read_address(user).aor
    head = (
        f"MESSAGE {uri} SIP/2.0\r\nFrom: <{uri}>;tag=simulated\r\nTo: <{uri}>\r\nCall-ID: simulated\r\nCSeq: 1 MESSAGE"
    )
    parsed = parse_head(head.encode())
    if not isinstance(parsed, Request):
        raise TypeError(head)
    return parsed


def login(loaded: Loaded, hop: LinkHop, user: str, home: str | None) -> Decision:
    """Decide whether *user* may log in at the target of *hop*; *home* is the explicit home pool, "" if none, None if unknown."""
    here, domain = view(loaded, hop.target.name), read_address(user).aor.rpartition("@")[2]
    pool = home or home_by_default(loaded.topology)
    code, wanted, saw, remedy = Code.ACCEPTED, "", f"the home pool {pool}; the password decides", ""
    if domain not in here.sip_domains:
        code, wanted, saw = Code.NOT_AUTHENTICATED, f"a user of: {', '.join(sorted(here.sip_domains))}", domain
    elif home is None:
        code, saw, remedy = Code.NOT_AUTHENTICATED, f"{user} is not a user", f"to add the user: sipmesh user add {user}"
    elif pool not in front_end_pools(loaded.topology):
        code, wanted, saw = Code.OTHER_HOME, "a home pool of the topology", pool
        remedy = f"to move the user: sipmesh user move {user} --pool {here.pool.name}"
    elif pool != here.pool.name:
        saw = f"the home pool {pool}, to which {here.name} carries the login; the password decides"
        backup = here.backup_of(pool)
        if backup:
            where = "it is served here" if backup == here.pool.name else f"it goes to {backup}"
            saw += f"; while no server of {pool} answers, {where}"
    remedies = (remedy,) if remedy else ()
    return Decision(here.name, f"a login of {user}", code is Code.ACCEPTED, code, "rule R10", wanted, saw, remedies)


def ours(hop: LinkHop) -> tuple[bool, bool]:
    """Tell whether opener and target are servers of ours."""
    return hop.opener.kind is PartyKind.SERVER, hop.target.kind is PartyKind.SERVER
