"""The HTTP server for the URLs in our certificates: CRLs, CA certificates, and OCSP (RFC 6960 A.1, RFC 5019).

Strangers may ask, and there is no TLS: the content is signed, and a client that fetches a CRL cannot check a certificate yet. So
requests of an address, the connections and the signatures are bounded, and files are read in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from aiohttp import web

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.ocsp.responder import LARGEST_REQUEST, MALFORMED, TRY_LATER, VALID, OcspAnswer, answer
from sipmesh.pki.publication import PublishedFile, published_files
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.server.process.http_port import HttpPort
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.process.request_rate import RequestRate

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.server.log import Log

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FRESH_S: Final = 1.0
"""Seconds for which the files that were read last are given again."""

REQUESTS_A_MINUTE: Final = 600
"""Requests of one address."""

SIGNATURES_A_MINUTE: Final = 3_000
"""OCSP responses for all addresses together: beyond them, the answer is tryLater."""

MOST_KEPT: Final = 1_024
"""Responses that are given again as long as nothing has changed; a response with a nonce is not kept."""

RESPONSE_TYPE: Final = "application/ocsp-response"


class CaPublication:
    """Serves what the CA in *folder* publishes, at *address*. *clock* gives the present instant, with a time zone."""

    def __init__(self, folder: Path, address: tuple[str, int], clock: Callable[[], datetime], log: Log) -> None:
        self._folder, self._address, self._clock, self._log = folder, address, clock, log
        self._port: HttpPort | None = None
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._rate = RequestRate(REQUESTS_A_MINUTE, loop.time)
        self._signatures = RequestRate(SIGNATURES_A_MINUTE, loop.time)
        self._files: dict[str, PublishedFile] = {}
        self._read_until, self._reading = 0.0, asyncio.Lock()
        self._answers: OrderedDict[bytes, OcspAnswer] = OrderedDict()

    async def open(self) -> None:
        """Listen; raises `OperatorError` if the address cannot be used."""
        app = web.Application(middlewares=[self._guarded], client_max_size=LARGEST_REQUEST)
        ocsp = r"/{generation:(?:\d+/)*}ocsp"  # each generation of the CA names its own URL
        app.add_routes([web.post(ocsp, self._posted), web.get(ocsp + "/{request:.*}", self._got)])
        app.add_routes([web.get("/{path:.*}", self._file)])
        self._port = HttpPort(app, self._log)
        host, port = self._address
        try:
            await self._port.open(host, port)
        except OSError as wrong:
            remedy = "set another `publish_lists` address for this server in the topology"
            place = Problem(self._folder, 0, "publish_lists", str(wrong), remedy)
            raise OperatorError(f"no CRLs are published on {host} port {port}", (place,)) from wrong

    async def close(self) -> None:
        """Stop listening."""
        port, self._port = self._port, None
        if port is not None:
            await port.close()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse too many requests of one address."""
        if not self._rate.admits(network_of(request.remote or "")):
            raise too_many()
        return await handler(request)

    async def _refresh(self) -> None:
        """Read the files again, once a second at most. A revocation brings a new CRL: then no earlier response is given again."""
        async with self._reading:
            if (now := self._now()) >= self._read_until:
                files = await off_loop(_read, self._folder)
                if files != self._files:
                    self._files = files
                    self._answers.clear()
                self._read_until = now + FRESH_S

    async def _file(self, request: web.Request) -> web.StreamResponse:
        await self._refresh()
        found = self._files.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound(text="there is no such file\n")
        etag = f'"{hashlib.sha256(found.content).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "max-age=300", "Content-Type": found.media_type}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.content, headers=headers)

    async def _posted(self, request: web.Request) -> web.Response:
        return self._response(await self._answer(await request.read()))

    async def _got(self, request: web.Request) -> web.Response:
        """Answer a request in base64 at the end of the path (RFC 6960 A.1, RFC 5019 5)."""
        text = unquote_to_bytes(request.rel_url.raw_path.partition("/ocsp/")[2])
        try:
            return self._response(await self._answer(base64.b64decode(text, validate=True)), is_get=True)
        except (ValueError, binascii.Error):
            return self._response(MALFORMED)

    async def _answer(self, asked: bytes) -> OcspAnswer:
        await self._refresh()
        at, kept = self._clock(), self._answers.get(asked)
        if kept is not None and kept.until is not None and at < kept.until - VALID / 2:
            return kept
        if not self._signatures.admits(""):
            return TRY_LATER
        made = await off_loop(_answered, self._folder, asked, at)
        if made.until is not None:
            self._answers[asked] = made
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)
        return made

    def _response(self, made: OcspAnswer, *, is_get: bool = False) -> web.Response:
        headers = {"Content-Type": RESPONSE_TYPE}
        if is_get and made.until is not None:  # RFC 5019 6.2
            left = max(0, int((made.until - self._clock()).total_seconds()))
            headers |= {
                "Cache-Control": f"max-age={left},public,no-transform,must-revalidate",
                "Last-Modified": format_datetime(made.until - VALID, usegmt=True),
                "Expires": format_datetime(made.until, usegmt=True),
                "ETag": f'"{hashlib.sha1(made.body, usedforsecurity=False).hexdigest()}"',
            }
        return web.Response(body=made.body, headers=headers)


def _read(folder: Path) -> dict[str, PublishedFile]:
    if not CaGenerations.are_in(folder):
        return {}
    return {file.path: file for file in published_files(CaGenerations(folder))}


def _answered(folder: Path, asked: bytes, at: datetime) -> OcspAnswer:
    return answer(CaGenerations(folder).alive if CaGenerations.are_in(folder) else (), asked, at)
