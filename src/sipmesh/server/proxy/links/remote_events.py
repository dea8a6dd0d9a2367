"""What happens on links of other processes of this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.proxy.siblings.channel import SUPERVISOR
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE, RemoteLink
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.links.flow_removal import FlowRemoval
    from sipmesh.server.proxy.links.home_flows import HomeFlows
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.transport.link.link import Link


class RemoteEvents:
    """What one process does when a link of another process comes up, has a login or ends."""

    def __init__(
        self,
        *,
        flow_table: FlowTable,
        home_flows: HomeFlows,
        accounts: Principals,
        removal: FlowRemoval,
        outside: Outside,
    ) -> None:
        self._flow_table, self._home_flows = flow_table, home_flows
        self._accounts, self._removal = accounts, removal
        self._outside = outside

    def remote_up(self, link: Link) -> None:
        """Know a link of another process, which has judged it, or a flow that such a link carries."""
        flow = self._flow_table.flow(link)
        if isinstance(link, RemoteLink) and link.carrier:
            by = self._flow_table.by_number(link.carrier)
            if by is None:
                self._flow_table.forget(flow)
                return
            flow.carried_by(by, link.path)
            self._home_flows.count(flow)
        flow.came_up()
        self._flow_table.up_elsewhere(link, may_send=isinstance(link, RemoteLink) and link.worker != SUPERVISOR)
        self._accounts.came_up_elsewhere(flow)
        if link.kind is LinkKind.SERVER:
            self._outside.control_plane.link_up(link)

    def remote_login(self, link: Link, user: str, generation: int) -> None:
        """Know that *user* has logged in on a link of another process; NOT_HERE: at another pool, so it is only counted."""
        flow = self._flow_table.flow(link)
        if generation != NOT_HERE:
            flow.proved(user, generation)
            self._flow_table.owned(flow, user)
        self._accounts.proved_elsewhere(flow, user)

    def remote_down(self, link: Link, why: str) -> None:
        """Forget a link of another process, or a flow that such a link carries."""
        flow = self._flow_table.flow(link)
        self._flow_table.down_elsewhere(link)
        if flow.carrier is not None:
            self._home_flows.count_no_longer(flow)
            self._removal.flow_ended(flow)
        else:
            self._removal.link_down(flow, why)
            link.flow = None
        if link.kind is LinkKind.SERVER:
            self._outside.control_plane.link_down(link, why)
