"""From the arguments of `sipmesh explain` to a probe: which listener, which name is expected there, and who connects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.cli.client.server_discovery import name_servers, trust_of
from sipmesh.cli.diagnosis.edges_here import edges_of
from sipmesh.cli.diagnosis.probe import Aim
from sipmesh.cli.diagnosis.tlsa_look_up import ask_for_tlsa
from sipmesh.cli.diagnosis.websocket_probe import WebSocketAim
from sipmesh.cli.place import Place
from sipmesh.client.judge import judge_server
from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import TLS_PORT, is_ip
from sipmesh.server.in_force.roles import partner_hop
from sipmesh.topology.builder.hops import blocked
from sipmesh.topology.document.listeners import WEBSOCKET, WILDCARDS, listeners
from sipmesh.topology.document.names import split_port
from sipmesh.topology.document.parts.server import PARTNER_PORT
from sipmesh.topology.view import view
from sipmesh.transport.hop import Hop
from sipmesh.transport.resolver import DnsResolver
from sipmesh.transport.tls.contexts import ClientContext, Identity, MutualContext
from sipmesh.transport.tls.path_check import recheck_path
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.role import BORDERS, Role
from sipmesh.trust.verdict import Verdict

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class KnownListener:
    """The listener that the topology has at an address: *server* is its name; a host of None is looked up in DNS."""

    server: str
    kind: LinkKind
    address: tuple[str | None, int]
    is_websocket: bool = False

    @property
    def port(self) -> str:
        """What the port is called."""
        return WEBSOCKET if self.is_websocket else str(self.kind)


@dataclass(frozen=True, slots=True)
class Target:
    """The arguments of the command."""

    what: str
    speaker: str  # the server of the topology that connects, empty for a client
    names: tuple[str, ...]  # the names that are expected, if the address does not say it
    anchors: tuple[Path, ...]
    origin: str = ""  # of the page, at a WebSocket port

    @property
    def split(self) -> tuple[str, int | None]:
        """Host and port; raises `OperatorError` for any other text."""
        from pydantic_core import PydanticCustomError

        try:
            return split_port(self.what)
        except PydanticCustomError as wrong:
            raise OperatorError(f"{self.what!r} is not a host:port, link or file: {wrong.message()}") from None


def aim(target: Target, place: Place) -> tuple[Aim, str]:
    """Return the probe, and a line that says what it probes; raises `OperatorError`."""
    loaded = place.found()
    host = target.split[0].lower()
    if loaded is not None and host in loaded.topology.federation.blocked:
        raise blocked(host)
    speaker = target.speaker or _edge_to(host, loaded, target)
    if speaker:
        return _as_server(target, place.view(speaker))
    return _as_client(target, loaded)


def _edge_to(host: str, loaded: Loaded | None, target: Target) -> str:
    """Return our edge or gateway, with its key on this machine, that links with the partner *host*; empty for another host."""
    if loaded is None or target.anchors or not loaded.topology.federation.partners:
        return ""
    names = {name for partner in loaded.topology.federation.partners for name in partner.identities}
    return edges_of(loaded, "", host)[0][0] if host in names else ""


def known_at(loaded: Loaded, host: str, port: int | None) -> KnownListener | None:
    """Return the listener of our topology at *host* and *port*; without a port, the first one of the server."""
    for pool in loaded.topology.pools:
        for server in pool.servers:
            for spec in listeners(loaded.topology, pool, server):
                here = {spec.name, server.name, server.address, *({spec.host} - WILDCARDS)}
                if host in here and (port or spec.port) == spec.port:
                    return KnownListener(server.name, spec.kind, (server.address, spec.port), spec.is_websocket)
    return None


def _as_client(target: Target, loaded: Loaded | None) -> tuple[Aim, str]:
    host, port = target.split
    known = known_at(loaded, host, port) if loaded is not None else None
    names = target.names or _meant(host, known, loaded)
    ours = loaded if known is not None or (loaded and set(names) & set(loaded.topology.sip_domains)) else None
    if ours is None and not target.anchors:
        raise OperatorError(
            f"{names[0]} is no domain of ours and no partner, so that no root is known for it; add --ca FILE with its root"
        )
    trust = trust_of(target.anchors, ours, names[0])

    def decide(evidence: PeerEvidence) -> Verdict:
        return judge_server(evidence, names, trust, at=datetime.now(UTC))

    addresses = (known.address if known else (host, port or TLS_PORT),)
    hop = Hop(names[0], LinkKind.CLIENT, addresses=addresses)
    what = f"{known.port} port of {known.server}" if known else "a server that is not in the topology"
    resolver = _resolver(addresses, loaded)
    advice = _advice(target.what, known, loaded)
    websocket = None
    if known is not None and known.is_websocket:
        websocket = WebSocketAim(known.server if not target.names else names[0], trust.anchors, target.origin)
    aimed = Aim(hop, ClientContext(trust.anchors), decide, names[0], resolver, advice=advice, websocket=websocket)
    return aimed, f"{target.what} ({what}), as a client that expects {' or '.join(names)}"


def _advice(what: str, known: KnownListener | None, loaded: Loaded | None) -> tuple[str, ...]:
    """Return what to do if the peer wants a certificate: a client presents none."""
    if known is not None and known.kind is LinkKind.PARTNER:
        return (
            f"{what} is the partner port of {known.server}: it accepts partners only, and requires their certificate.",
            "To judge a partner's certificate as that server does: sipmesh explain FILE --as partner",
        )
    server = _opener(known, loaded) if known is not None and loaded is not None else ""
    port = f"{what} is the server port of {known.server}" if known is not None else f"{what} is a port for servers"
    return (
        f"{port}: it requires a certificate, and a client presents none.",
        f"Connect as a server of ours: sipmesh explain {what} --as {server or 'NAME'}",
    )


def _opener(known: KnownListener, loaded: Loaded) -> str:
    """Return a server of ours that may open this link and has its certificate on this machine, or the empty text."""
    may_open = view(loaded, known.server).accept_policy(known.kind).may_open
    pools = sorted(loaded.topology.pools, key=lambda pool: pool.role is Role.MANAGEMENT)  # management carries no calls
    servers = (server for pool in pools for server in pool.servers if server.name in may_open)
    others = (server for server in servers if server.name != known.server)
    return next((server.name for server in others if (loaded.folder / server.certificate_file).exists()), "")


def _meant(host: str, known: KnownListener | None, loaded: Loaded | None) -> tuple[str, ...]:
    """Return the reference names (RFC 5922 section 4); raises `OperatorError` for an IP address, which proves no identity.

    At a server port, the name of the server alone counts: an application, for example, has no certificate for our SIP domains.
    """
    if known is not None and loaded is not None:
        return (known.server,) if known.kind is LinkKind.SERVER else (*loaded.topology.sip_domains, known.server)
    if is_ip(host):
        raise OperatorError(
            f"an IP address proves no identity; name the domain that you expect at {host}: --name DOMAIN"
        )
    return (host.lower(),)


def _as_server(target: Target, view: ServerView) -> tuple[Aim, str]:
    host, port = target.split
    known = known_at(view.loaded, host, port)
    if known is not None and known.kind is LinkKind.CLIENT:
        raise OperatorError(f"{target.what} is the {known.port} port of {known.server}; leave out --as")
    hop = (
        _inside(target, known)
        if known is not None and known.server != view.name
        else _outside(target, view, host, port)
    )

    def decide(evidence: PeerEvidence) -> Verdict:
        policy, at = view.open_policy(hop.kind, hop.name), datetime.now(UTC)
        return judge(recheck_path(evidence, policy, at), policy, at=at)

    of_many = hop.kind is LinkKind.PARTNER
    if of_many:
        ask_for_tlsa(view.loaded, [hop.name], datetime.now(UTC))
    identity, staples = Identity.load(*view.identity(hop.kind, hop.name)), view.asks_for_staple(hop.kind, hop.name)
    context = MutualContext(
        identity, view.anchors(hop.kind), of_many=of_many, by_dane=of_many and view.has_dane_only, staples=staples
    )
    resolver = _resolver(hop.addresses or (), view.loaded, service=hop.service)
    aimed = Aim(hop, context, decide, min(view.sip_domains), resolver)
    return aimed, f"{target.what} ({hop.kind} link to {hop.name}), as {view.name}"


def _inside(target: Target, known: KnownListener) -> Hop:
    return Hop(target.names[0] if target.names else known.server, known.kind, addresses=(known.address,))


def _outside(target: Target, view: ServerView, host: str, port: int | None) -> Hop:
    """Return a hop to a partner, or to a server from a server that is no border; the judge decides about the name."""
    partner = view.partner_named(host)
    kind = LinkKind.PARTNER if view.role in BORDERS else LinkKind.SERVER
    if partner is None or port is not None:
        meant = target.names[0] if target.names else host.lower()
        return Hop(meant, kind, addresses=((host, port or PARTNER_PORT),))
    return partner_hop(partner, host.lower())


def _resolver(
    addresses: Sequence[tuple[str | None, int]], loaded: Loaded | None, *, service: str | None = None
) -> DnsResolver | None:
    if service is None and all(host is not None and is_ip(host) for host, _ in addresses):
        return None
    return name_servers(loaded)
