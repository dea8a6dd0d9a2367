"""The pages about servers, versions, certificates and partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.admin.replies import EXPLAIN, LINKS, REFUSED
from sipmesh.server.console.network_map import network_map
from sipmesh.server.console.operations import CERTIFICATES, PARTNERS, operation_of
from sipmesh.server.console.parameters import typed
from sipmesh.server.control_socket import Encoded
from sipmesh.server.management.publishing.publish import read_draft
from sipmesh.server.management.publishing.publisher import DRAFT
from sipmesh.server.management.replies import HISTORY, NETWORK, PLAN, VERSION, NetworkReply
from sipmesh.server.process.off_loop import off_loop
from sipmesh.strict_json import read_json
from sipmesh.topology.builder.link_changes import in_words
from sipmesh.typed_json import read

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame, Show
    from sipmesh.server.management.publishing.plan_report import PlanReport
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology


class NetworkPages:
    """Shows the network of the topology in force."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._view = frame, frame.view

    def pages(self) -> Mapping[str, Show]:
        """Return every page by its path."""
        return {
            "/": self._map,
            "/status": self._status,
            "/servers/{name}": self._server,
            "/versions": self._versions,
            "/versions/{number}": self._version,
            "/certificates": self._certificates,
            "/partners": self._partners,
            "/refused": self._refused,
            "/links/{id}": self._link,
            "/links/{server}/{id}": self._link,
        }

    async def _network(self, request: web.Request) -> NetworkReply:
        reply: NetworkReply | Encoded = await self._frame.read(request, NETWORK.name)
        return read(NetworkReply, read_json(reply.json)) if isinstance(reply, Encoded) else reply

    async def _draft(self) -> Loaded:
        """Return the draft; raises `OperatorError` with its problems."""
        return (await off_loop(read_draft, self._view().loaded.folder / DRAFT)).loaded

    async def _map(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, wrong = await self._network(request), ""
        draft: Topology | None = None
        try:
            draft = (await self._draft()).topology
        except OperatorError as error:
            wrong = error.message
        drawing = network_map(self._view().loaded.topology, network, draft)
        return "map.html", {"map": drawing, "network": network, "draft_wrong": wrong}

    async def _status(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "status.html", {"network": await self._network(request)}

    async def _server(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        network, name = await self._network(request), request.match_info["name"]
        known = {report.server: report for report in (network.master, *network.servers)}
        if name not in known:
            raise SipmeshError(f"{name} is not a server of the topology in force")
        links = await self._frame.read(request, LINKS.name) if name == self._view().name else []
        return "server.html", {"report": known[name], "newest": network.version, "links": links}

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
        shown = {"plan": plan, "appear": appear, "die": die, "wrong": wrong, "versions": versions[::-1]}
        return "versions.html", shown

    async def _version(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        number = request.match_info["number"]
        given = typed(operation_of(VERSION.name).given, {"version": number})
        return "version.html", {"number": number, "published": await self._frame.read(request, VERSION.name, **given)}

    async def _certificates(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        stock = await self._frame.read(request, CERTIFICATES)
        longest = max((entry.left_s or 0 for entry in stock.entries), default=0) or 1
        return "certificates.html", {"stock": stock, "longest": longest}

    async def _partners(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "partners.html", {"known": await self._frame.read(request, PARTNERS)}

    async def _refused(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        here = await self._frame.read(request, REFUSED.name)
        return "refused.html", {"here": here, "network": await self._network(request)}

    async def _link(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        link, server = request.match_info["id"], request.match_info.get("server", "")
        explained = await self._frame.read(request, EXPLAIN.name, id=link, server=server)
        return "link.html", {"id": link, "explained": explained}
