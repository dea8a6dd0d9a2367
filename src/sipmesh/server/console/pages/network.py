"""The pages about servers, versions, certificates and partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from sipmesh.errors import OperatorError
from sipmesh.server.admin.inventory_report import EntryReport
from sipmesh.server.admin.partners_report import PartnerReport
from sipmesh.server.admin.replies import EXPLAIN, LINKS, REFUSED
from sipmesh.server.console.link_ends import LinkEnd, links_between, links_of
from sipmesh.server.console.network_map import WORDS, linked_peers, network_map, state_in_words
from sipmesh.server.console.operations import CERTIFICATES, LEDGER, PARTNERS, VERDICTS, operation_of
from sipmesh.server.console.pages.frame import UnknownNameError
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.console.parameters import typed
from sipmesh.server.console.replies import IssuedCertificate, LedgerReply, VerdictEntry
from sipmesh.server.console.trunk_uses import (
    CallerAtGateway,
    UseAtFrontEnd,
    UseAtGateway,
    applications_at,
    callers_of,
    uses_of,
)
from sipmesh.server.management.publishing.publish import read_draft
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.management.replies import (
    HISTORY,
    PLAN,
    VERSION,
    NetworkReply,
    PeerReply,
    ServerReply,
    VersionReply,
)
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.replication.server_status import Neighbour
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.builder.link_changes import in_words
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame, Show
    from sipmesh.server.management.publishing.plan_report import PlanReport
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology


def _progress(network: NetworkReply) -> Mapping[str, int]:
    """Return how many servers there are (*needed*), and how many *have* the newest version in force."""
    reports = (network.master, *network.servers)
    return {"needed": len(reports), "has": sum(report.number == network.version for report in reports)}


def _number(entry: EntryReport) -> str:
    item = entry.in_use or entry.on_disk
    return item.number if item is not None else ""


SERVERS: Final = (
    Column[ServerReply]("Server", lambda one: one.server),
    Column[ServerReply](
        "State", lambda one: (one.number is not None, not one.faults, [fault.what for fault in one.faults])
    ),
    Column[ServerReply]("Pool and role", lambda one: (getattr(one, "pool", ""), one.role)),
    Column[ServerReply]("Version", lambda one: one.number),
    Column[ServerReply]("Last report", lambda one: getattr(one, "heard_s", None)),
    Column[ServerReply]("Certificate ends", lambda one: one.certificate and one.certificate.ends),
    Column[ServerReply]("Links", lambda one: sum(one.links.values())),
)
PEERS: Final = tuple(map(Column[PeerReply], ("Application, partner, store or CA", "Kind", "State")))
NEIGHBOURS: Final = (
    Column[Neighbour]("Proved identity", lambda one: one.peer),
    Column[Neighbour]("Kind", lambda one: one.kind),
    Column[Neighbour]("TLS", lambda one: one.tls),
    Column[Neighbour]("Group", lambda one: one.group),
    Column[Neighbour]("Its certificate ends", lambda one: one.certificate_ends),
    Column[Neighbour]("Messages", lambda one: one.messages),
)
VERSIONS: Final = (
    Column[VersionReply]("Version", lambda one: one.version),
    Column[VersionReply]("At", lambda one: one.at),
    Column[VersionReply]("By", lambda one: one.by),
    Column[VersionReply]("Why", lambda one: one.why),
    Column[VersionReply]("Digest", lambda one: one.digest),
)
ENTRIES: Final = (
    Column[EntryReport]("Name", lambda one: one.name),
    Column[EntryReport]("What", lambda one: one.what),
    Column[EntryReport]("State", lambda one: (not one.broken, one.level == "fine", one.level)),
    Column[EntryReport]("Ends", lambda one: one.ends),
    Column[EntryReport]("Serial number", _number),
    Column[EntryReport]("What stops then"),
)
ISSUED: Final = (
    Column[IssuedCertificate]("Name", lambda one: one.names),
    Column[IssuedCertificate]("For", lambda one: one.kind),
    Column[IssuedCertificate]("State", lambda one: one.state),
    Column[IssuedCertificate]("Begins", lambda one: one.begins),
    Column[IssuedCertificate]("Ends", lambda one: one.ends),
    Column[IssuedCertificate]("Serial number", lambda one: one.serial),
    Column[IssuedCertificate]("Fingerprint", lambda one: one.fingerprint),
)
PARTNER_COLUMNS: Final = (
    Column[PartnerReport]("Partner", lambda one: one.domains[0]),
    Column[PartnerReport]("Domains", lambda one: one.domains),
    Column[PartnerReport]("Edge", lambda one: one.edge or ""),
    Column[PartnerReport]("Client certificate", lambda one: one.client_usage),
    Column[PartnerReport]("State"),
)
LINKS_BETWEEN: Final = (
    Column[LinkEnd]("Server", lambda one: one.server),
    Column[LinkEnd]("Peer", lambda one: one.peer),
    Column[LinkEnd]("State", lambda one: one.fault),
    Column[LinkEnd]("TLS", lambda one: one.tls),
    Column[LinkEnd]("Its certificate ends", lambda one: one.certificate_ends),
    Column[LinkEnd]("Messages", lambda one: one.messages),
    Column[LinkEnd]("Limits used", lambda one: one.used),
    Column[LinkEnd]("Findings"),
)
REFUSED_LATELY: Final = tuple(map(Column[VerdictEntry], ("At", "Server", "Verdict", "Link", "From", "Remedy")))
TRUNK_USES: Final = tuple(map(Column[UseAtGateway], ("Gateway", "Channels in use", "Minutes in 24 h", "State")))
TRUNK_CALLERS: Final = tuple(
    map(Column[CallerAtGateway], ("User", "Gateway", "Calls now", "Minutes in 24 h", "Countries in 24 h"))
)
APPLICATION_USES: Final = (
    Column[UseAtFrontEnd]("Front end", lambda one: one.server),
    Column[UseAtFrontEnd]("Calls up", lambda one: one.use.calls),
    Column[UseAtFrontEnd]("Calls taken", lambda one: one.use.called),
    Column[UseAtFrontEnd]("Mailboxes", lambda one: one.use.mailboxes),
)
BLOCKED: Final = (Column[str]("Name", str), Column[str]("State"))


SERVERS_SHOWN: Final = 20
"""Servers on one page: each may have a fault with its remedy, which takes several lines."""


class NetworkPages:
    """Shows the network of the topology in force."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._view = frame, frame.view

    def pages(self) -> Mapping[str, Show]:
        """Return every page by its path."""
        return {
            "/map": self._map,
            "/status": self._status,
            "/servers/{name}": self._server,
            "/versions": self._versions,
            "/versions/{number}": self._version,
            "/certificates": self._certificates,
            "/certificates/issued": self._issued,
            "/partners": self._partners,
            "/partners/{name}": self._partner,
            "/applications/{name}": self._application,
            "/refused": self._refused,
            "/links/{id}": self._link,
            "/links/{one}/to/{other}": self._links_between,
            "/links/{server}/{id}": self._link,
        }

    async def _draft(self) -> Loaded:
        """Return the draft; raises `OperatorError` with its problems."""
        return (await off_loop(read_draft, self._view().loaded.folder / DRAFT)).loaded

    async def _map(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, wrong = await self._frame.network(request), ""
        draft: Topology | None = None
        try:
            draft = (await self._draft()).topology
        except OperatorError as error:
            wrong = error.message
        in_force = self._view().loaded.topology
        drawings = {
            "map": network_map(in_force, network, draft),
            "narrow": network_map(in_force, network, draft, narrow=True),
        }
        return "map.html", {**drawings, "network": network, "draft_wrong": wrong, "words": WORDS}

    async def _status(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, asked = await self._frame.network(request), Wanted.of(request.path, request.query)
        servers = Table.of(SERVERS, [network.master, *network.servers], asked, SERVERS_SHOWN)
        peers = Table.of(PEERS, network.peers, Wanted(request.path), len(network.peers) or 1)
        return "status.html", {"network": network, "servers": servers, "peers": peers, "state_of": state_in_words}

    async def _server(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, name = await self._frame.network(request), request.match_info["name"]
        known = {report.server: report for report in (network.master, *network.servers)}
        if name not in known:
            return await self._new_server(name)
        links = await self._frame.read(request, LINKS.name) if name == self._view().name else []
        neighbours = Table.of(NEIGHBOURS, known[name].neighbours, Wanted.of(request.path, request.query))
        shown = {"report": known[name], "newest": network.version, "links": links, "neighbours": neighbours}
        return "server.html", {**shown, "state_of": state_in_words}

    async def _new_server(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Return the page of a server that the draft alone has; raises `UnknownNameError` if it has none of this name."""
        try:
            drafted = (await self._draft()).topology.pool_of(name)
        except OperatorError:
            drafted = None
        if drafted is None:
            raise UnknownNameError(f"{name} is not a server of the topology in force")
        return "new_server.html", {"name": name}

    async def _versions(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        plan: PlanReport | None = None
        wrong: list[str] = []
        appear: Sequence[str] = ()
        die: Sequence[str] = ()
        try:
            plan = await self._frame.read(request, PLAN.name)
            appear = in_words(plan.links_appear, await self._draft())
            die = in_words(plan.links_die, self._view().loaded)
        except OperatorError as error:
            wrong = [error.message, *map(str, error.problems)]
        versions = await self._frame.read(request, HISTORY.name)
        history = Table.of(VERSIONS, versions[::-1], Wanted.of(request.path, request.query))
        shown = {"plan": plan, "appear": appear, "die": die, "wrong": wrong, "history": history}
        return "versions.html", {**shown, **_progress(await self._frame.network(request))}

    async def _version(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        number = request.match_info["number"]
        given = typed(operation_of(VERSION.name).given, {"version": number})
        published = await self._frame.read(request, VERSION.name, **given)
        known = await self._frame.read(request, HISTORY.name)
        entry = next((one for one in known if one.version == int(number)), None)
        return "version.html", {"number": number, "published": published, "entry": entry}

    async def _certificates(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        stock = await self._frame.read(request, CERTIFICATES)
        longest = max((entry.left_s or 0 for entry in stock.entries), default=0) or 1
        entries = Table.of(ENTRIES, stock.entries, Wanted.of(request.path, request.query))
        return "certificates.html", {"stock": stock, "longest": longest, "entries": entries}

    async def _issued(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page of the certificates that our CA has issued for what was typed."""
        asked = Wanted.of(request.path, request.query)
        given = typed(operation_of(LEDGER).given, {"find": asked.find}) if asked.find else None
        found = await self._frame.read(request, LEDGER, **given) if given else LedgerReply(())
        issued = Table.of(ISSUED, found.certificates, replace(asked, find=""))
        return "issued.html", {"issued": issued, "wanted": asked.find, "is_here": found.is_here}

    async def _partners(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        known, network = await self._frame.read(request, PARTNERS), await self._frame.network(request)
        asked, faults = Wanted.of(request.path, request.query), {one.peer: one.faults for one in network.peers}
        blocked = Table.of(BLOCKED, known.blocked, Wanted(request.path), len(known.blocked) or 1)
        partners, peers = Table.of(PARTNER_COLUMNS, known.partners, asked), linked_peers(network)
        shown = {"known": known, "partners": partners, "blocked": blocked, "faults": faults}
        return "partners.html", {**shown, "linked": [one for one in known.partners if peers & {*one.domains, one.edge}]}

    async def _partner(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page of one partner; raises `UnknownNameError` for a name that is none."""
        name, known = ascii_lower(request.match_info["name"]), await self._frame.read(request, PARTNERS)
        partner = next((one for one in known.partners if name in (*one.domains, one.edge)), None)
        if partner is None:
            raise UnknownNameError(f"{name} is not a partner of the topology in force")
        network, told = await self._frame.network(request), await self._frame.read(request, VERDICTS)
        names = {*partner.domains, partner.edge}
        found = [end for one in sorted(filter(None, names)) for end in links_of(network, told.verdicts, one)]
        refused = [one for one in told.verdicts if not one.link and one.peer in names]
        uses = uses_of(network, partner.domains[0])
        return "partner.html", {
            "partner": partner,
            "links": Table.of(LINKS_BETWEEN, found, Wanted.of(request.path, request.query)),
            "servers": {report.server for report in (network.master, *network.servers)},
            "faults": [fault for peer in network.peers if peer.peer in names for fault in peer.faults],
            "refused": Table.of(REFUSED_LATELY, refused, Wanted(request.path)),
            "uses": Table.of(TRUNK_USES, uses, Wanted(request.path)),
            "callers": Table.of(TRUNK_CALLERS, callers_of(uses), Wanted(request.path)),
        }

    async def _application(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page of one server of an application; raises `UnknownNameError` for a name that is none."""
        name, topology = ascii_lower(request.match_info["name"]), self._view().loaded.topology
        pool = topology.pool_of(name)
        if pool is None or pool.role is not Role.APPLICATION:
            raise UnknownNameError(f"{name} is not an application of the topology in force")
        network, told = await self._frame.network(request), await self._frame.read(request, VERDICTS)
        found = links_of(network, told.verdicts, name)
        refused = [one for one in told.verdicts if not one.link and one.peer == name]
        return "application.html", {
            "name": name,
            "pool": pool,
            "links": Table.of(LINKS_BETWEEN, found, Wanted.of(request.path, request.query)),
            "ends": min((end.certificate_ends for end in found if end.certificate_ends), default=None),
            "servers": {report.server for report in (network.master, *network.servers)},
            "faults": [fault for peer in network.peers if peer.peer == name for fault in peer.faults],
            "refused": Table.of(REFUSED_LATELY, refused, Wanted(request.path)),
            "uses": Table.of(APPLICATION_USES, applications_at(network, name), Wanted(request.path)),
            "addresses": pool.sip_addresses or (name,),
        }

    async def _refused(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        here = await self._frame.read(request, REFUSED.name)
        return "refused.html", {"here": here, "network": await self._frame.network(request)}

    async def _link(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        link, server = request.match_info["id"], request.match_info.get("server", "")
        explained = await self._frame.read(request, EXPLAIN.name, id=link, server=server)
        return "link.html", {"id": link, "explained": explained}

    async def _links_between(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page of the links between two servers, pools or partners, each with its verdict where that is known."""
        one, other = request.match_info["one"], request.match_info["other"]
        network, told = await self._frame.network(request), await self._frame.read(request, VERDICTS)
        found = links_between(network, told.verdicts, one, other)
        links = Table.of(LINKS_BETWEEN, found, Wanted.of(request.path, request.query))
        names = {report.server for report in (network.master, *network.servers)}
        return "links.html", {"one": one, "other": other, "links": links, "servers": names}
