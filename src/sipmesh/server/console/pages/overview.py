"""The first page: whether the network is well, what needs an operator today, and what has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.console.operations import AUDIT, CERTIFICATES, CHANGES
from sipmesh.server.console.pages.chart import charts_of
from sipmesh.server.management.replies import TRAFFIC
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.admin.inventory_report import InventoryReport
    from sipmesh.server.console.pages.frame import Frame
    from sipmesh.server.console.replies import AuditEntry
    from sipmesh.server.management.replies import NetworkReply, Plan, TrafficReply

MOST_NEEDS: Final = 20
"""Lines of what needs an operator; the pages behind them have all."""

MOST_CHANGES: Final = 8
READS: Final = frozenset({AuditAct.CALLS, AuditAct.TRACE})
"""Lines of the audit log that are no change: an operator has read records or messages."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs an operator: of *kind*, as a state, at the page *path*. *remedy* is what to do."""

    kind: str
    name: str
    what: str
    remedy: str
    path: str


class OverviewPage:
    """The first page of *frame*."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def page(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page."""
        network = await self._frame.network(request)
        traffic: TrafficReply = await self._frame.read(request, TRAFFIC.name)
        needs = list(_of_network(network))
        changed: list[AuditEntry] | None = None
        try:
            audit = await self._frame.read(request, AUDIT)
            needs += _of_certificates(await self._frame.read(request, CERTIFICATES))
            needs += await self._of_draft(request)
        except OperatorError as wrong:  # such as a database that is away: the page says so, and what servers report
            if not needs:
                needs = [Need("bad", "Management", wrong.message, "", "/status")]
        else:
            needs += [Need("bad", "Audit log", fault, "", "/audit") for fault in audit.faults]
            changed = list(islice((line for line in audit.lines if line.act not in READS), MOST_CHANGES))
        shown = {
            "traffic": traffic,
            "charts": charts_of(traffic),
            "network": network,
            "needs": needs[:MOST_NEEDS],
            "more": len(needs) - MOST_NEEDS,
        }
        return "overview.html", {
            **shown,
            "servers": _states(network),
            "changed": changed,
        }

    async def _of_draft(self, request: web.Request) -> list[Need]:
        try:
            plan: Plan = await self._frame.read(request, CHANGES)
        except OperatorError as wrong:
            return [Need("bad", "Draft", wrong.message, "Mend topology.yaml", "/versions")]
        waiting = [Need("behind", "Approval", str(need), "", "/versions") for need in plan.approvals if not need.is_met]
        count = len(plan.changes)
        if not count:
            return waiting
        what = f"has {count} change{'s' * (count != 1)} that no server has yet"
        return [*waiting, Need("behind", "Draft", what, "Read what it leads to, and apply it", "/versions")]


def _of_network(network: NetworkReply) -> Iterator[Need]:
    for report in (network.master, *network.servers):
        for fault in report.faults:
            yield Need("bad", report.server, fault.what, fault.remedy, f"/servers/{report.server}")
    for peer in network.peers:
        page = f"/partners/{peer.peer}" if peer.kind == "partner" else "/status"
        yield from (Need("bad", peer.peer, fault.what, fault.remedy, page) for fault in peer.faults)


def _of_certificates(stock: InventoryReport) -> Iterator[Need]:
    for entry in stock.entries:
        if entry.broken or entry.level != "fine":
            what = f"the {entry.what} is refused" if entry.broken else f"the {entry.what} expires: {entry.stops}"
            remedy = f"Run {entry.command}" if entry.command else entry.note
            yield Need("bad" if entry.broken else "behind", entry.name, what, remedy, "/certificates")


def _states(network: NetworkReply) -> Mapping[str, Any]:
    """Return how many servers there are, how many have an older version, and what has a fault, in words."""
    reports = (network.master, *network.servers)
    kinds = Counter(str(peer.kind) for peer in network.peers if peer.faults)
    if faulty := sum(bool(report.faults) for report in reports):
        kinds["server"] = faulty
    counts = [f"{count} {kind}{'s' * (count != 1)}" for kind, count in sorted(kinds.items(), key=lambda one: -one[1])]
    return {
        "all": len(reports),
        "faulty": tell_list(counts, " and ") + (" have a fault" if kinds.total() != 1 else " has a fault")
        if counts
        else "",
        "behind": sum(report.number not in (None, network.version) for report in reports),
    }
