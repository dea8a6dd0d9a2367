"""Answers http-01 (RFC 8555 8.3): over plain HTTP, only for the tokens and hosts of an order under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.process.http_port import HttpPort
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    import josepy.jwk
    from acme import challenges

    from sipmesh.server.log import Log

PATH: Final = "/.well-known/acme-challenge/{token}"
REQUESTS_A_MINUTE: Final = 120
"""Requests of one address: a CA looks at each name from several addresses, once or twice."""


class HttpChallenges:
    """Listens at *host* and *port* while it is open."""

    kind = "http-01"

    def __init__(self, host: str, port: int, log: Log) -> None:
        self._host, self._port = host, port
        self._answers: dict[tuple[str, str], str] = {}
        self._rate = RequestRate(REQUESTS_A_MINUTE, asyncio.get_running_loop().time)
        app = web.Application(client_max_size=0)
        app.add_routes([web.get(PATH, self._answer)])
        self._http = HttpPort(app, log)

    async def __aenter__(self) -> Self:
        """Listen."""
        try:
            await self._http.open(self._host, self._port)
        except OSError as wrong:
            await self._http.close()
            remedy = f"free port {self._port} of {self._host}, or set `acme.port` to one to which port 80 is forwarded"
            raise AcmeError(f"{self._host} port {self._port}: {wrong.strerror or wrong}", remedy) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._http.close()

    def publish(self, name: str, challenge: challenges.KeyAuthorizationChallenge, key: josepy.jwk.JWK) -> None:
        """Answer at the token of *challenge*, to a request for the host *name*."""
        self._answers[name, challenge.encode("token")] = challenge.key_authorization(key)

    def settle(self, stopped: threading.Event) -> None:
        """Do nothing: the CA asks this server itself."""

    def retract(self) -> None:
        """Forget all answers."""
        self._answers = {}

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._rate.admits(network_of(request.remote or "")):
            raise too_many()
        host = ascii_lower(request.host.partition(":")[0])
        found = self._answers.get((host, request.match_info["token"]))
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found.encode(), content_type="application/octet-stream")
