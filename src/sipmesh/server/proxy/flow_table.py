"""Finds the flow of a target: a client's link, or a link to a server or partner by proved identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.dialog import NO_FLOW
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget
from sipmesh.server.proxy.flow import Flow
from sipmesh.sip.text import ascii_lower
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.state import CLOSED
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.proxy.effects import Start
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link

NO_DOMAINS: Final[frozenset[str]] = frozenset()


class FlowTable:
    """Knows every flow of the server, and opens links to servers and partners."""

    def __init__(self, current: Current, incarnation: int, outside: Outside) -> None:
        self._current, self.incarnation, self._outside = current, incarnation, outside
        self._elsewhere: dict[str, list[Link]] = {}  # links of other processes to servers, by server, the oldest first
        self._flows: dict[int, Flow] = {}
        self._owners: dict[bytes, int] = {}

    @property
    def view(self) -> ServerView:
        """The view of the topology in force."""
        return self._current.value.view

    def flow(self, link: Link) -> Flow:
        """Return the flow of *link*; it is created at the first call. The flow of a closed link is in no table."""
        known = link.flow
        if isinstance(known, Flow):
            return known
        flow = Flow(link, self.incarnation, self._current.value.homes.owner_of)
        if link.state is CLOSED:
            flow.closed = True
            return flow
        link.flow = flow
        self._flows[flow.number] = flow
        return flow

    def by_number(self, number: int) -> Flow | None:
        """Return the flow with that number, None if it has closed."""
        return self._flows.get(number)

    def add(self, flow: Flow) -> None:
        """Know a carried flow from now on: its user has logged in."""
        self._flows[flow.number] = flow

    def forget(self, flow: Flow) -> None:
        """Remove the flow of a closed link."""
        self._flows.pop(flow.number, None)
        for owner in flow.owners:
            if self._owners.get(owner) == flow.number:
                del self._owners[owner]

    def judged_anew(self) -> None:
        """Update all flows after new verdicts on their links: the rights of the peers may differ."""
        for flow in self._flows.values():
            if flow.link.verdict is not None:
                flow.came_up()

    def sessions(self) -> list[Flow]:
        """Return every flow, oldest first."""
        return list(self._flows.values())

    def owned(self, flow: Flow, user: str) -> None:
        """Remember the newest flow of *user*, for dialogs whose own flow has closed."""
        self._owners[owner_hash(user)] = flow.number

    def find(self, start: Start, past: Link | None = None) -> Flow | None:
        """Return the flow to send on, None if it has closed; its link may still be opening.

        For a branch that goes *past* the address of a partner's link, it is a flow to another address of that partner.
        """
        target = start.target
        if isinstance(target, FlowTarget):
            return self.flow_to(target)
        if isinstance(target, RemoteFlowTarget):
            return self._server(target.binding.host)
        if target.carries is not None and target.carries.flow:
            return self._flows.get(target.carries.flow)
        if target.kind is LinkKind.SERVER:
            return self._server(start.name)
        return self._partner(start.name, past if start.past else None)

    def user_at(self, target: FlowTarget) -> str:
        """Return the user of this server whom *target* leads to; "" if the user's link is gone."""
        flow = self.flow_to(target)
        return "" if flow is None else next((user for user in flow.users if owner_hash(user) == target.owner), "")

    def side_name(self, link: Link) -> str:
        """Return the name of the peer of *link* in dialog tokens: its pool, or the partner's name; the link may be opening."""
        if link.kind is LinkKind.SERVER:
            return self.pool_of(link.meant or link.peer_name)
        partner = self._current.value.view.partner_named(link.meant)
        return partner.peer.name if partner is not None else link.peer_name

    def domains_of(self, flow: Flow) -> frozenset[str]:
        """Return the domains whose users the peer of *flow* may assert; none for a client. The link may still be opening."""
        if isinstance(flow.sender, ServerSender):
            return flow.sender.peer.asserts
        link = flow.link
        if link.kind is LinkKind.SERVER:
            peer = self._current.value.view.trusted.get(link.meant)
            return peer.asserts if peer is not None else NO_DOMAINS
        partner = self._current.value.view.partner_named(link.meant) if link.kind is LinkKind.PARTNER else None
        return partner.domains if partner is not None else NO_DOMAINS

    def pool_of(self, server: str) -> str:
        """Return the pool of *server*, one of our servers; an unknown server's own name."""
        peer = self._current.value.view.trusted.get(server)
        return (peer.pool if peer is not None else None) or server

    def flow_to(self, target: FlowTarget) -> Flow | None:
        """Return the flow, or for a dialog the newest flow of its owner; never a flow of another user."""
        flow = self._flows.get(target.flow)
        if target.found is Found.PATH:
            return flow if flow is not None and target.owner in flow.carried_owners else None
        if flow is not None and target.owner in flow.owners:
            return flow
        return self._flows.get(self._owners.get(target.owner, NO_FLOW)) if target.found is Found.DIALOG else None

    def _server(self, name: str) -> Flow | None:
        """Return a flow to one of our servers. Where that server opens the links, any process may have one."""
        hop = self._current.value.hops.get(name)
        if hop is None:
            return None
        link = self._link_elsewhere(name)
        if link is not None and self._opens_links(name) and not self._outside.links.has(hop):
            return self.flow(link)
        return self.flow(self._outside.links.obtain(hop))

    def up_elsewhere(self, link: Link, *, may_send: bool) -> None:
        """Another process has a link to a server; unless *may_send*, nothing is sent there by this process."""
        if link.kind is LinkKind.SERVER and may_send:
            self._elsewhere.setdefault(link.names[0], []).append(link)

    def down_elsewhere(self, link: Link) -> None:
        """Such a link has ended."""
        if link.kind is LinkKind.SERVER and link in (links := self._elsewhere.get(link.names[0], [])):
            links.remove(link)

    def _link_elsewhere(self, name: str) -> Link | None:
        """Return the newest link of another process to a server; None if there is none. Those for documents only are older."""
        for link in reversed(self._elsewhere.get(name, ())):
            if link.usable and not link.reserved:
                return link
        return None

    def _opens_links(self, name: str) -> bool:
        """Tell whether *name* opens the links to us: it alone may do so, or it is an application, which may accept none."""
        view = self._current.value.view
        peer = view.trusted.get(name)
        return (peer is not None and peer.role is Role.APPLICATION) or not view.may_open_to(name)

    def reach(self, name: str) -> None:
        """Have a link to one of our servers: dial it, if there is none."""
        self._server(name)

    def hop_to(self, name: str) -> Hop | None:
        """The way to one of our servers; None if the topology in force has no such server."""
        return self._current.value.hops.get(name)

    def _partner(self, name: str, past: Link | None) -> Flow | None:
        """Open a link to the partner that *name* belongs to; the verdict is on the partner's edge, or else on the domain."""
        hop = self._current.value.partner_hops.get(ascii_lower(name))
        if hop is None:
            return None
        return self.flow(
            self._outside.links.obtain(hop) if past is None else self._outside.links.obtain_past(hop, past)
        )
