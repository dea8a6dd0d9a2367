"""Who publishes revocations over HTTP: the lists of a CA, and an OCSP responder; both say what a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.demo.forge import Forged

HOST = "127.0.0.1"
Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Publisher:
    """A web server on loopback; *pages* by path, *asked* every request that has come as ``METHOD /path``."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen, where it did before if it was closed."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Be out of reach."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def url(self, path: str) -> str:
        """Where a page is."""
        return f"http://{HOST}:{self.port}{path}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        page = self.pages.get(request.path)
        return await page(request) if page is not None else web.Response(status=404)


def content(read: Callable[[], bytes]) -> Page:
    """A page that has what *read* gives when it is asked for."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=read())

    return page


@contextmanager
def published(content_of: Mapping[str, bytes]) -> Iterator[Publisher]:
    """A publisher in a thread of its own, for commands that run in this one; *content_of* has the content of each path."""
    made, loop = Publisher(), asyncio.new_event_loop()
    made.pages = {path: content(partial(content_of.__getitem__, path)) for path in content_of}
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(made.open(), loop).result()
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(made.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def moved(location: str) -> Page:
    """A page that is elsewhere."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    return page


@dataclass
class Responder:
    """An OCSP responder for what *issuer* has issued; *status* is what it says, by *signer* if not by the issuer itself."""

    issuer: Forged
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    signer: Forged | None = None
    begins: timedelta = timedelta(minutes=-1)
    ends: timedelta = timedelta(hours=4)
    about: x509.Certificate | None = None  # whom it speaks of, for each question
    sha1_alone: bool = False
    beside: list[x509.Certificate] = field(default_factory=list)  # certificates of no use
    known: list[x509.Certificate] = field(default_factory=list)
    asked: list[ocsp.OCSPRequest] = field(default_factory=list)

    async def page(self, request: web.Request) -> web.Response:
        """Answer a request (RFC 6960 A.1)."""
        assert request.content_type == "application/ocsp-request"
        asked = ocsp.load_der_ocsp_request(await request.read())
        self.asked.append(asked)
        return web.Response(body=self.answer(asked), content_type="application/ocsp-response")

    def answer(self, asked: ocsp.OCSPRequest) -> bytes:
        """Say it."""
        found = [one for one in self.known if one.serial_number == asked.serial_number]
        if (self.sha1_alone and not isinstance(asked.hash_algorithm, hashes.SHA1)) or not (found or self.about):
            refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
            return refused.public_bytes(Encoding.DER)
        now, revoked = datetime.now(UTC), self.status is ocsp.OCSPCertStatus.REVOKED
        signer = self.signer or self.issuer
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=self.about or found[0],
                issuer=self.issuer.certificate,
                algorithm=asked.hash_algorithm,
                cert_status=self.status,
                this_update=now + self.begins,
                next_update=now + self.ends,
                revocation_time=now + self.begins if revoked else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        )
        attached = [*([self.signer.certificate] if self.signer is not None else []), *self.beside]
        if attached:
            builder = builder.certificates(attached)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)
