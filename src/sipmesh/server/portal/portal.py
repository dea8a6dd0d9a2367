"""The portal of the users, and the end point of the provider for logouts: on the port of the pages of invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sipmesh.server.console.access.openid.flow import provider_check
from sipmesh.server.console.user_commands import TOKENS_END
from sipmesh.server.portal.logout_endpoint import LOGOUT, LogoutEndpoint
from sipmesh.server.portal.own_operations import OwnOperations
from sipmesh.server.portal.portal_guard import PortalGuard
from sipmesh.server.portal.portal_pages import PortalPages
from sipmesh.server.portal.sign_ins import SignIns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sipmesh.server.control_socket import Command
    from sipmesh.server.log import Log
    from sipmesh.server.portal.logout_endpoint import EndConsole
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.view import ServerView


class Portal:
    """The portal of *node*; *commands* are those of the console, and *leader* names the server that leads.

    *use_link* is that of `SignIns`, and *end_console* that of `LogoutEndpoint`.
    """

    def __init__(
        self,
        node: RunningServer,
        commands: Mapping[str, Command],
        use_link: Callable[[str, str], Awaitable[str]],
        leader: Callable[[], str],
        log: Log,
        end_console: EndConsole,
    ) -> None:
        def view() -> ServerView:
            return node.view

        clock, check = node.loop.time, provider_check(node)
        self.guard = PortalGuard(view, leader, clock, log)
        signed_in = SignIns(view, self.guard, use_link, check, clock)
        self.operations = OwnOperations(commands)
        self._pages = PortalPages(view, self.guard, self.operations, signed_in)
        self._logout = LogoutEndpoint(view, self.guard, commands[TOKENS_END], check, clock, end_console)

    def routes(self) -> list[web.RouteDef | web.StaticDef]:
        """Return every path."""
        return [*self._pages.routes(), web.post(LOGOUT, self._logout.answer)]
