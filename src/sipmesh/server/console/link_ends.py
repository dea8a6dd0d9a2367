"""The links between two servers, pools or partners, as the servers at their ends report them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.console.replies import VerdictEntry
    from sipmesh.server.management.replies import NetworkReply, ServerReply


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """What *server* reports of its link with *peer*; *link* is its id on a server of this machine, with all its findings.

    *used* is how much of its limits the peer uses, in percent. *fault* says that the peer does not answer; the other values have
    their defaults then.
    """

    server: str
    peer: str
    fault: str = ""
    tls: str = ""
    certificate_ends: datetime | None = None
    messages: int = 0
    used: int = 0
    link: str = ""


def links_between(network: NetworkReply, verdicts: Sequence[VerdictEntry], one: str, other: str) -> list[LinkEnd]:
    """Return each end of each link between *one* and *other*, which may be servers, pools or partners."""
    pools = {report.server: getattr(report, "pool", "") or report.server for report in _reports(network)}
    return [
        end
        for end in _all(network, verdicts)
        if _joins(one, other, {end.server, pools.get(end.server, "")}, {end.peer, pools.get(end.peer, "")})
    ]


def links_of(network: NetworkReply, verdicts: Sequence[VerdictEntry], peer: str) -> list[LinkEnd]:
    """Return our ends of the links with *peer*."""
    return [end for end in _all(network, verdicts) if end.peer == peer]


def _reports(network: NetworkReply) -> Sequence[ServerReply]:
    return (network.master, *network.servers)


def _all(network: NetworkReply, verdicts: Sequence[VerdictEntry]) -> Iterator[LinkEnd]:
    live = {(entry.server, entry.peer): entry.link for entry in reversed(verdicts) if entry.link}
    for report in _reports(network):
        yield from _ends(report, live)


def _joins(one: str, other: str, here: set[str], there: set[str]) -> bool:
    return (one in here and other in there) or (other in here and one in there)


def _ends(report: ServerReply, live: Mapping[tuple[str, str], str]) -> Iterator[LinkEnd]:
    for link in report.neighbours:
        secured = " ".join(filter(None, (link.tls, link.group)))
        known = live.get((report.server, link.peer), "")
        yield LinkEnd(report.server, link.peer, "", secured, link.certificate_ends, link.messages, link.used, known)
    for peer in report.unanswered:
        yield LinkEnd(report.server, peer, "does not answer")
