"""The life of a server's own links: the verdict on the peer, the begin, the refusal and the end; each is counted and logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.proxy.gatekeeper import meant_of
from sipmesh.server.proxy.liveness.outages import UNREACHED
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.judgement.explain import headline

if TYPE_CHECKING:
    from sipmesh.errors import RemoteError
    from sipmesh.server.proxy.counters import Counters
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.links.flow_removal import FlowRemoval
    from sipmesh.server.proxy.links.home_flows import HomeFlows
    from sipmesh.server.proxy.liveness.keepalives import Liveness
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict


class LinkLifecycle:
    """What one server does when one of its links comes up, is refused or ends; see `LinkEvents` for when each is called."""

    def __init__(
        self,
        *,
        gatekeeper: Gatekeeper,
        flow_table: FlowTable,
        removal: FlowRemoval,
        home_flows: HomeFlows,
        accounts: Principals,
        counters: Counters,
        liveness: Liveness,
        outages: Outages,
        outside: Outside,
        siblings: OtherProcesses,
        log: LimitedLog,
    ) -> None:
        self._gatekeeper, self._flow_table, self._removal = gatekeeper, flow_table, removal
        self._home_flows = home_flows
        self._accounts, self._counters, self._log = accounts, counters, log
        self._liveness, self._outages = liveness, outages
        self._outside = outside
        self._siblings = siblings

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Return the verdict on the peer of *link*."""
        return self._gatekeeper.judge(evidence, meant_of(link))

    def judge_again(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Return a new verdict on the peer of a *link* that is up; an expired CRL does not end such a link.

        A trunk that has a port of its own now keeps the links that it has: the port is opened at the next start.
        """
        is_of_outsider = link.kind is LinkKind.PARTNER and link.direction is Direction.ACCEPTED
        meant = self._gatekeeper.view.listener_for(link.peer_name) if is_of_outsider else meant_of(link)
        return self._gatekeeper.judge(evidence, meant, live=True)

    def link_up(self, link: Link) -> None:
        """Start the flow of an accepted link."""
        if link.kind is LinkKind.PARTNER:
            link.port = self._gatekeeper.view.listener_for(link.peer_name)
        flow = self._flow_table.flow(link)
        flow.came_up()
        self._accounts.came_up(flow)
        self._liveness.link_up(link)
        if link.verdict is not None:
            self._counters.judged(link.verdict)
        self._siblings.link_up(link)
        if self._siblings.exceeds(link):
            link.close("too many links from this peer")
            return
        if link.kind is LinkKind.SERVER:
            self._outside.control_plane.link_up(link)
        if link.verdict is not None and (link.kind is not LinkKind.CLIENT or link.verdict.device is not None):
            self._log.info(link.peer_name, "link accepted", link=link.id, verdict=headline(link.verdict))

    def refused(self, verdict: Verdict) -> None:
        """Record a refusal: the log has all details, the peer gets only the TLS alert."""
        self._counters.judged(verdict)
        if verdict.code in UNREACHED and self._outages.has(verdict.meant):
            return
        self._gatekeeper.remember(verdict)
        who = network_of(verdict.remote[0]) if verdict.direction is Direction.ACCEPTED else verdict.meant
        self._log.warning(who, "link refused", code=verdict.code, verdict=headline(verdict), remedies=verdict.remedies)

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """Record a WebSocket that was refused: the log has what the peer sent, the peer gets a sentence."""
        self._counters.upgrade_refused(refusal.status)
        self._gatekeeper.upgrade_refused(link, refusal)
        who, remote = self._flow_table.flow(link).account.name, link.remote[0]
        self._log.warning(
            who, "websocket refused", link=link.id, remote=remote, status=refusal.status, why=str(refusal)
        )

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """Remove a closed link, with its flow, its bindings and its branches."""
        self._counters.gone(link)
        self._liveness.link_down(link)
        is_told = self._outages.has(link.meant) and not link.peer.accepted
        self._outages.link_down(link, why, verdict)
        if link.kind is LinkKind.CLIENT and link.peer.accepted and not link.authenticated:
            self._gatekeeper.client_ended(link, why)
        self._siblings.link_down(link, why)
        flow = self._flow_table.flow(link)
        self._removal.link_down(flow, why)
        self._home_flows.link_down(flow)
        link.flow = None  # they refer to each other: no reference count would free them
        if link.kind is LinkKind.SERVER:
            self._outside.control_plane.link_down(link, why)
        if not is_told and (link.kind is not LinkKind.CLIENT or link.direction is Direction.OPENED):
            self._log_end(link, why, verdict)

    def _log_end(self, link: Link, why: str, verdict: Verdict | None) -> None:
        code = verdict.code if verdict is not None else None
        peer = link.peer_name or link.meant
        self._log.info(peer, "link closed", link=link.id, peer=peer, why=why, code=code)
