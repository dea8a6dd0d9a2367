"""The home pool's end: the flows of our users whose links are at another server, which carries them.

A carried flow is a client's link to everything above this module: it is challenged, logs in, registers, has dialogs and limits.
It is known by the link of the server that carries it and by the Path of that server. What it has proved counts on this link only.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, try_later
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.login.carried_link import CarriedLink
from sipmesh.server.proxy.login.client_address import client_address
from sipmesh.server.proxy.login.end_of_flow import is_end
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.text import octets_of, shown
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import LoginToken
    from sipmesh.routing.identity.route_set import RouteSet
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.links.flow_removal import FlowRemoval
    from sipmesh.server.proxy.login.end_of_flow import EndOfFlow
    from sipmesh.sip.message import Request
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.reactor.reactor import Reactor

MOST_OF_SERVER: Final = 50_000
"""Carried flows with a login by one server on all its links, at all processes of ours; above it, a login gets 503."""

LONGEST_PATH: Final = 512
"""Characters of the Path of the server that carries a flow: it is kept, and goes into each request to the user."""

_NUMBERS_FROM: Final = 1 << 61
"""Flow numbers of carried flows are above those of links, and fit into the database."""

FULL: Final = try_later("too many carried flows of this server")


class HomeFlows:
    """The carried flows of one server; *removal* removes a flow that has ended from all other parts."""

    def __init__(
        self,
        reactor: Reactor,
        flow_table: FlowTable,
        tokens: Tokens,
        key: bytes,
        end_of_flow: EndOfFlow,
        removal: FlowRemoval,
        current: Current,
    ) -> None:
        self._reactor, self._flow_table = reactor, flow_table
        self._tokens, self._key = tokens, key
        self._end_of_flow, self._removal, self._current = end_of_flow, removal, current
        self.most_of_server = MOST_OF_SERVER
        self._by_carrier: dict[int, dict[str, Flow]] = {}
        self._of_server: dict[str, set[int]] = {}  # numbers of flows by the name of their server, of all its links

    def __len__(self) -> int:
        return sum(map(len, self._by_carrier.values()))

    def links(self) -> list[Link]:
        """Return the links of the carried flows with a login, those of the oldest link between servers first."""
        return [flow.link for flows in self._by_carrier.values() for flow in flows.values()]

    def end_uncarried(self) -> None:
        """End the flows of servers that may carry no links of our users any more."""
        for flows in list(self._by_carrier.values()):
            for flow in [flow for flow in flows.values() if not self._may_go_on(flow)]:
                flow.link.close("its server carries no links of our users any more")

    def _may_go_on(self, flow: Flow) -> bool:
        return flow.carrier is not None and flow.carrier.link.peer_name in self._current.value.carriers

    def flow_of(self, by: Flow, request: Request, place: RouteSet) -> Flow | Answer | None:
        """Give the carried flow that a request on the link of *by* comes from; None if it is the server's own request.

        An Answer refuses the request. Raises `RemoteError` for a malformed Path.
        """
        sender = by.sender
        if place.login is not None:
            return self._logged_in(by, request, place.login)
        if (
            request.method != "REGISTER"
            or not isinstance(sender, ServerSender)
            or sender.peer.name not in self._current.value.carriers
        ):
            return None
        path = self._path_of(request, sender.peer.names)
        if not path:
            return None
        known = self._by_carrier.get(by.number, {}).get(path)
        if known is None and len(self._of_server.get(sender.peer.name, ())) >= self.most_of_server:
            return FULL
        return known or self._stranger(by, path, sender.peer.name)

    def _logged_in(self, by: Flow, request: Request, token: LoginToken) -> Flow | Answer:
        """Give the flow with a login that *token* names: on the same link, of the same start of this server, or 430."""
        flow = self._flow_table.by_number(token.side.number)
        is_known = flow is not None and flow.carrier is by and token.side.incarnation == self._tokens.incarnation
        if flow is None or not is_known or token.side.owner not in flow.owners | flow.carried_owners:
            why = "the token in its Route names no login on this link"
            return Answer(430, "Flow Failed", code=Code.NO_ROUTE, why=why)
        is_strange = request.method == "REGISTER" and self._path_of(request, frozenset()) not in {"", flow.path}
        if is_strange and not is_end(request):
            return Answer(403, code=Code.NO_ROUTE, why="the Path of a REGISTER is not that of its flow")
        return flow

    def _path_of(self, request: Request, names: frozenset[str]) -> str:
        """Give the first Path as a Route entry, "" if there is none; it must lead to a server with one of *names*, if given."""
        value = request.first_item("path")
        if value is None:
            return ""
        uri = NameAddr.parse(value).sip_uri
        if len(value) > LONGEST_PATH or uri.user is None or not uri.has("lr") or (names and uri.host not in names):
            raise RemoteError(f"the Path {shown(value)} does not lead to its sender", rule="RFC 3327", status=400)
        return f"<{uri}>"

    def _stranger(self, by: Flow, path: str, access: str) -> Flow:
        """Make the flow of a client that has not logged in. It is not kept: each of its requests makes it again."""
        number = self._number(by, path)
        link = CarriedLink(self._reactor, by.link, access, number, self._keep, self._close)
        link.remote = client_address(path, access), 0
        flow = Flow(link, self._tokens.incarnation, by.owner_of)
        link.flow = flow
        flow.carried_by(by, path)
        flow.account = by.account
        flow.came_up()
        return flow

    def _number(self, by: Flow, path: str) -> int:
        """Give the number of a carried flow: the same for each request on it, so that its nonces count on it alone."""
        digest = blake2s(octets_of(f"{by.number} {path}"), key=self._key, digest_size=8).digest()
        return _NUMBERS_FROM + (int.from_bytes(digest, "big") >> 4)

    def _keep(self, link: CarriedLink) -> None:
        """Know the flow of *link* from now on: its user has logged in."""
        flow = link.flow
        if isinstance(flow, Flow) and flow.carrier is not None and not link.is_kept:
            link.is_kept = True
            known = self._by_carrier.setdefault(flow.carrier.number, {})
            before = known.get(flow.path)
            if before is not None:  # both have waited for their login: the flow is the same
                self.end(before)
            known[flow.path] = flow
            self._flow_table.add(flow)
            self.count(flow)

    def count(self, flow: Flow) -> None:
        """Count a flow with a login for its server; one at another process of this server counts too."""
        if flow.carrier is not None:
            self._of_server.setdefault(flow.carrier.link.peer_name, set()).add(flow.number)

    def count_no_longer(self, flow: Flow) -> None:
        """Stop counting a flow that has ended, here or at another process of this server."""
        server = flow.carrier.link.peer_name if flow.carrier is not None else ""
        numbers = self._of_server.get(server, set())
        numbers.discard(flow.number)
        if not numbers:
            self._of_server.pop(server, None)

    def _close(self, link: CarriedLink, why: str) -> None:
        """End a flow that is closed here, and have its server close the link of the client."""
        flow = link.flow
        if isinstance(flow, Flow) and flow.carrier is not None:
            self._end_of_flow.tell(flow.carrier, flow.path, why)
            known = self._by_carrier.get(flow.carrier.number, {}).get(flow.path)
            if known is not None and known is not flow:  # another request of this client has logged in meanwhile
                self.end(known)
            self._forget(flow)

    def end(self, flow: Flow) -> None:
        """End a flow whose client has gone."""
        link = flow.link
        if isinstance(link, CarriedLink):
            link.leave()
        self._forget(flow)

    def _forget(self, flow: Flow) -> None:
        by = flow.carrier
        if by is not None:
            self._by_carrier.get(by.number, {}).pop(flow.path, None)
        self.count_no_longer(flow)
        self._removal.flow_ended(flow)

    def link_down(self, by: Flow) -> None:
        """End the flows that a closed link has carried."""
        for flow in self._by_carrier.pop(by.number, {}).values():
            self.end(flow)
