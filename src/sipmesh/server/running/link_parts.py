"""The parts of one server that open, accept and close links: resolver, connectors, pool, ports, revocations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.server.running.listening import Listening
from sipmesh.server.running.revocation_updates import RevocationUpdates
from sipmesh.server.web_phone.files import sign_in_of, web_phone
from sipmesh.topology.document.listeners import WILDCARDS
from sipmesh.transport.accept.listener import Listener, everybody
from sipmesh.transport.accept.random_choice import choose_at_random
from sipmesh.transport.connector import Connector
from sipmesh.transport.pool import LinkPool
from sipmesh.transport.resolver import DnsResolver
from sipmesh.transport.websocket.pages import NO_PAGES
from sipmesh.transport.websocket.upgrade import UpgradePolicy
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import ClientAuth

if TYPE_CHECKING:
    from sipmesh.server.proxy.dispatch import Dispatch
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.topology.reachable_addresses import ReachableAddresses
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import AcceptingContext


class LinkParts:
    """The links of one server; *dispatch* gets what they bring."""

    def __init__(self, setup: ServerSetup, peers: PeerParts, dispatch: Dispatch) -> None:
        self._current, self._peers, self._dispatch = setup.current, peers, dispatch
        self._accepts, self._workers = not setup.place.is_supervisor, setup.place.count
        self._outside = setup.outside
        reactor, certificates = peers.reactor, peers.certificates
        context = certificates.opening_context
        self.resolver = DnsResolver(*setup.view.dns_servers)
        self.connector = Connector(
            reactor, dispatch, context, self.resolver, source=self._source, reachable=self._reachable
        )
        # no attempt to reach a server that does not answer is refused for the failure before it
        limits = replace(setup.limits, dial_s=setup.limits.server_dial_s, redial_s=0.0)
        self.trials = Connector(
            reactor, dispatch, context, self.resolver, limits=limits, source=self._source, reachable=self._reachable
        )
        self.pool = LinkPool(reactor, self.connector, trials=self.trials)
        setup.outside.links = self.pool
        self.listening = Listening(self._listener, certificates.accepting_context, setup.log)
        self.revocation = RevocationUpdates(
            peers.gatekeeper,
            self.connector,
            self.pool,
            reactor.links.relying,
            dispatch.links.judge_again,
            setup.outside,
        )

    def _source(self, hop: Hop) -> str:
        """Give the address on which this server listens for the peers of this kind: links to them leave from it too."""
        listeners = self._current.value.view.listeners
        host = next((spec.host for spec in listeners if spec.kind is hop.kind), "")
        return "" if host in WILDCARDS else host

    def _reachable(self) -> ReachableAddresses:
        return self._current.value.view.reachable

    def judge_again(self) -> list[str]:
        """Judge every link again, and close those that are refused now; returns their ids."""
        self.connector.forget_failures()
        refused = self.pool.rejudge(self._dispatch.links.judge_again)
        return [link.id for link in (*refused, *self._end_without_certificate())]

    def _end_without_certificate(self) -> list[Link]:
        """Close links of clients without a certificate at a port that wants one now; the pool keeps no evidence of them."""
        view, ended = self._current.value.view, []
        for link in self.pool.all() if view.client_auth is ClientAuth.CERTIFICATE else ():
            is_of_client = link.kind is LinkKind.CLIENT and link.direction is Direction.ACCEPTED
            asks = is_of_client and view.client_auth_at(link.port) is ClientAuth.CERTIFICATE
            if asks and link.verdict is not None and link.verdict.device is None:
                link.close("this port wants the certificate of a device now")
                ended.append(link)
        return ended

    def _listener(self, spec: ListenerSpec, context: AcceptingContext) -> Listener:
        peers = self._peers
        sock = self._outside.ports.socket_for(spec)
        listener = Listener(
            peers.reactor,
            spec,
            context,
            self._dispatch,
            sock=sock,
            accepts=self._accepts,
            is_reserved=peers.neighbours.has,
            has_room=peers.accounts.has_room if spec.kind is LinkKind.CLIENT else everybody,
            make_room=peers.accounts.make_room,
            upgrade_policy=self._upgrade_policy if spec.is_websocket else None,
        )
        if sock is not None and self._accepts:
            choose_at_random(sock, self._workers)
        return listener

    def _upgrade_policy(self) -> UpgradePolicy:
        return upgrade_policy(self._current.value.view, self._peers.certificates.for_clients.names)

    async def drain(self) -> None:
        """Write the queued messages, and close all links."""
        await self.pool.drain()
        await self.connector.close()
        await self.trials.close()


def upgrade_policy(view: ServerView, names: frozenset[str]) -> UpgradePolicy:
    """Return who may open a WebSocket here, and which pages there are; *names* are those in its certificates for clients."""
    topology, asks = view.loaded.topology, tuple(f"https://{host}" for host in view.invitation_hosts)
    sign_in = sign_in_of(topology)
    if sign_in and topology.oauth is not None:
        asks += ("/".join(topology.oauth.issuer.split("/")[:3]),)
    pages = web_phone(asks, sign_in) if view.has_web_phone else NO_PAGES
    return UpgradePolicy(names.union(view.names), view.web_origins, pages)
