"""Whose account a request is about: that of a device by its password, or of the web phone by its ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.invitations.device_login import DeviceLogin
from sipmesh.server.invitations.ticket_login import ticket_of
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.invitations.ticket_login import TicketLogin
    from sipmesh.topology.view import ServerView


class AccountLogin:
    """Judges logins by the topology of *view*; *strangers* counts requests and wrong logins of each address.

    *tickets* judges those of the web phone, and *clock* returns seconds that never go back. A user has *most* requests a minute.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        tickets: TicketLogin,
        strangers: Strangers,
        clock: Callable[[], float],
        most: int,
    ) -> None:
        self._view, self._tickets, self._device = view, tickets, DeviceLogin(strangers, clock)
        self._rates = RequestRate(most, clock)

    async def user(self, request: web.Request) -> str:
        """Return whose account a request is about; raises 401 without a login, and 429 for too many requests."""
        if ticket_of(request):
            holder = await self._tickets.holder(request)
            if holder is None:
                raise self._device.challenge(request, self._view().loaded)
            aor = holder.user
        else:
            aor = await self._device.user(request, self._view().loaded)
        if not self._rates.admits(aor):
            raise too_many()
        return aor
