"""EST and ACME on the HTTPS server of management."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.enrolment.acme.acme import Acme
from sipmesh.server.enrolment.est import Est

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost


class EnrolmentServer:
    """Answers both protocols on *host*, if the topology in force has them."""

    def __init__(self, host: EnrolmentHost) -> None:
        self._est, self._acme = Est(host), Acme(host)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of both protocols."""
        return [*self._est.routes(), *self._acme.routes()]

    async def close(self) -> None:
        """End what is under way."""
        await self._acme.validations.close()
