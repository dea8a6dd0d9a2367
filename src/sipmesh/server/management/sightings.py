"""What servers have seen of each other and of their peers, sorted by the peer that is the cause."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.server.replication.link_fault import Cause
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sipmesh.server.replication.server_status import ServerStatus

NO_ANSWER: Final = "it does not answer requests"
CODES: Final = frozenset({*Code, *Cause})
"""The codes that a fault of a peer can have."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the server *by* has seen of a peer: *why*, with the code of the verdict or the cause.

    *ahead_s* are the seconds by which the clock of the peer is ahead of that of the server, 0.0 if unknown.
    """

    by: str
    why: str
    code: str
    ahead_s: float = 0.0


def sightings(statuses: Iterable[tuple[str, ServerStatus]], faulty: Collection[str] = ()) -> dict[str, list[Sighting]]:
    """Return what servers report of each peer; a server that alone sees several peers without an answer is the cause itself.

    The peers in *faulty* are known to have a fault, so that they are the cause themselves.
    """
    found: dict[str, list[Sighting]] = {}
    unanswered: list[tuple[str, str]] = []
    for by, status in statuses:
        unanswered += [(by, peer) for peer in status.unanswered]
        for fault in status.peer_faults:
            code = fault.code if fault.code in CODES else ""  # a label of a metric, so none that a server makes up
            found.setdefault(fault.peer, []).append(Sighting(by, fault.why, code, fault.ahead_s))
    known = {*faulty, *found}
    causes = [(peer, [by]) for by, peer in unanswered if peer in known]
    causes += _causes([pair for pair in unanswered if pair[1] not in known])
    for cause, others in causes:
        found.setdefault(cause, []).extend(Sighting(other, NO_ANSWER, Cause.NO_ANSWER) for other in others)
    return found


def _causes(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Give the servers that explain all *pairs* of a server and a peer that does not answer it, each with the others.

    The server in most pairs comes first; of a pair, the server without an answer is the cause.
    """
    left = list(dict.fromkeys(pairs))
    while left:
        count = Counter(name for pair in left for name in pair)
        silent = {peer for _, peer in left}
        cause = max(sorted(count), key=lambda name: (count[name], name in silent))
        yield cause, [by if peer == cause else peer for by, peer in left if cause in (by, peer)]
        left = [pair for pair in left if cause not in pair]


def tell_sightings(by: Iterable[str], seen: Sequence[Sighting]) -> str:
    """Return in one sentence what the servers *by* have seen; *seen* all have one code."""
    servers = tell_list(sorted(by))
    if seen[0].code == Cause.NO_ANSWER:
        return f"it does not answer {servers}"
    if seen[0].code in {Cause.CRL_EXPIRED, Cause.CALLS_REFUSED, Cause.LOGIN_FAILS}:
        return seen[0].why
    return f"no link to it works from {servers}: {seen[0].why}"


def strongest(seen: Sequence[Sighting]) -> Mapping[str, Sequence[Sighting]]:
    """Return what was seen, by code, without codes that follow from another one."""
    codes: dict[str, list[Sighting]] = {}
    for one in seen:
        codes.setdefault(one.code, []).append(one)
    if len(codes) > 1:
        codes.pop(Cause.NO_ANSWER, None)
    if Code.UNTRUSTED_ISSUER in codes:
        codes.pop(Cause.CRL_EXPIRED, None)  # with another root in force, no CRL of the peer's CA can be used either
    if Cause.CRL_EXPIRED in codes:
        codes.pop(Code.REVOCATION_UNKNOWN, None)
    return codes
