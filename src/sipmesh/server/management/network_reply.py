"""The status of the network as the reply to ``network``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sipmesh.server.management.replies import MemberReply, NetworkReply, PeerReply, ServerReply
from sipmesh.server.process.off_loop import when_large
from sipmesh.typed_json import plain

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.server.management.network import MemberStatus, Network, NetworkStatus
    from sipmesh.server.management.server_faults import Known

_NONE: Final = '"servers": []'
ROUGH_OCTETS: Final = 500
"""Of one server in the encoded status; it only decides whether a thread is worth it."""


def network_reply(status: NetworkStatus) -> NetworkReply:
    """Return management itself and every other server."""
    manager = {**status.status.facts(), "server": status.manager, "faults": status.faults}
    members = (_member(member, status.at) for member in status.members)
    master = ServerReply.model_validate(manager)
    peers = tuple(PeerReply(peer.name, peer.kind, peer.faults) for peer in status.peers)
    return NetworkReply(status.version, status.at, master, tuple(members), tuple(status.managers), peers)


async def encoded_status(network: Network, newest: int) -> bytes:
    """Return the status of *network* as JSON; a thread compares and encodes it, if there are many servers."""
    snapshot = network.snapshot(newest)
    return await when_large(len(snapshot.known) * ROUGH_OCTETS, lambda: _encoded(snapshot.status()))


def _encoded(status: NetworkStatus) -> bytes:
    """Return `network_reply` as JSON. Each server is encoded alone: one call for thousands would let no other thread run."""
    head = json.dumps(network_reply(replace(status, members=())), default=plain)
    members = ", ".join(json.dumps(_member(member, status.at), default=plain) for member in status.members)
    return head.replace(_NONE, f"{_NONE[:-1]}{members}]", 1).encode()


def _member(member: MemberStatus, at: datetime) -> MemberReply:
    known = member.known
    return MemberReply.model_validate(
        {
            **_reported(known, at),
            "server": known.server,
            "pool": known.pool,
            "linked": known.linked,
            "why_not": known.why_not,
            "reached": known.is_reached,
            "role": member.role,
            "faults": member.faults,
        }
    )


def _reported(known: Known, at: datetime) -> dict[str, object]:
    """Return the last report of a server and its age; without a report, only that there is no number."""
    report = known.report
    if report is None:
        return {"number": None}
    since = report.behind_since
    return {
        **report.status.facts(),
        "by": report.by,
        "heard_s": round(known.silent_s, 1),
        "behind_s": round((at - since).total_seconds(), 1) if since is not None else 0,
        "clock_s": report.clock_s,
    }
