"""An organisation whose front end orders from a public CA, and a CA that cheats: Pebble behind a proxy that changes answers."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from multidict import CIMultiDict

from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.files import certificates_pem
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.network import FE1
from support.pebble import Pebble
from support.running import until
from support.telling import Told

KEPT = ("Replay-Nonce", "Location", "Content-Type", "Link")
ISSUED, FAILED = "certificate of a public CA", "no certificate of the public CA"
Tamper = Callable[[web.Request, bytes, dict[str, Any]], Awaitable[web.StreamResponse | bytes]]
"""Changes an answer: the request, the body of Pebble's answer, and the payload that the client has signed."""


@dataclass
class Site:
    """An organisation whose server *name* orders from a CA; *told* has its log."""

    organisation: Organisation
    name: str = FE1
    told: Told = field(default_factory=Told)

    async def orders_from(self, ca: Pebble, directory: str = "", **keys: Any) -> None:
        """Write into the topology from whom to order, with the roots."""
        anchors = self.organisation.folder / "anchors"
        anchors.mkdir(exist_ok=True)
        (anchors / "ca.pem").write_bytes(certificates_pem([await ca.root()]) + ca.web_root.read_bytes())
        port = {} if "dns" in keys else {"port": ca.http_port}
        self.writes({"directory": directory or ca.directory, "anchors": ["anchors/ca.pem"], **port, **keys})

    def writes(self, acme: dict[str, Any]) -> None:
        """Write the topology."""
        document: Any = self.organisation.document
        document["acme"] = acme
        servers = [server for pool in document["pools"] for server in pool["servers"]]
        next(one for one in servers if one["name"] == self.name)["client_certificates"] = "acme"
        self.organisation.write()

    @property
    def file(self) -> Path:
        """The certificate that it orders."""
        return self.organisation.folder / f"servers/{self.name}.acme.pem"

    @property
    def key(self) -> Path:
        return self.file.with_suffix(".key")

    @property
    def account(self) -> Path:
        return self.organisation.folder / f"state/{self.name}.acme-account.json"

    async def issued(self) -> x509.Certificate:
        """Wait until there is a certificate, and nothing has failed."""
        await until(lambda: list(self.told.events(ISSUED)) or list(self.told.events(FAILED)))
        failures = [line["why"] for line in self.told.events(FAILED)]
        assert not failures, failures
        return x509.load_pem_x509_certificate(self.file.read_bytes())

    async def failed(self) -> str:
        """Wait until an order has failed; gives why."""
        await until(lambda: list(self.told.events(ISSUED)) or list(self.told.events(FAILED)))
        assert list(self.told.events(ISSUED)) == []
        return str(next(iter(self.told.events(FAILED)))["why"])

    async def presented(self, sni: str, root: Path) -> int:
        """Connect as a phone that asks for *sni* and knows the *root* alone; gives the serial number that it has accepted."""
        context = ssl.create_default_context(cafile=str(root))
        port = self.organisation.ports[self.name][LinkKind.CLIENT]
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=sni)
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return x509.load_der_x509_certificate(shown).serial_number
        finally:
            writer.close()
            del reader

    def wrote(self, forged: Forged) -> None:
        """Put a certificate into the place of its public certificate."""
        forged.write(self.file.parent, self.file.stem)


def renewal_of(node: RunningServer) -> str:
    """Why the certificate of *node* is not renewed, with the remedy."""
    [chain] = node.certificates.for_clients.chains
    return f"{chain.renewal.why} | {chain.renewal.remedy}" if chain.renewal is not None else ""


@dataclass
class Cheat:
    """A proxy before *pebble*: *tampers* by the begin of a path; *requests* are the signing requests that have come."""

    pebble: Pebble
    port: int
    tampers: dict[str, Tamper] = field(default_factory=dict)
    requests: list[x509.CertificateSigningRequest] = field(default_factory=list)

    @property
    def directory(self) -> str:
        return f"https://{HOST}:{self.port}/dir"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Ask Pebble in place of the client, and change the answer."""
        sent = await request.read()
        signed = json.loads(_decoded(json.loads(sent)["payload"]) or b"{}") if sent else {}
        if "csr" in signed:
            self.requests.append(x509.load_der_x509_csr(_decoded(signed["csr"])))
        headers = {"Host": request.host, "Content-Type": request.headers.get("Content-Type", "")}
        url = f"https://{HOST}:{self.pebble.port}{request.path_qs}"
        trusted = ssl.create_default_context(cafile=str(self.pebble.web_root))
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, data=sent, headers=headers, ssl=trusted) as answer,
        ):
            body = await answer.read()
        kept = CIMultiDict((name, value) for name, value in answer.headers.items() if name in KEPT)
        found: web.StreamResponse | bytes = body
        for begin, tamper in self.tampers.items():
            if request.path.startswith(begin) and answer.status < 300:
                found = await tamper(request, body, signed)
        if isinstance(found, bytes):
            return web.Response(body=found, status=answer.status, headers=kept)
        found.headers.setdefault("Replay-Nonce", kept.get("Replay-Nonce", ""))
        return found

    async def issuer(self) -> Forged:
        """The intermediate of Pebble with its key, to issue what Pebble never would."""
        root = Forged(await self.pebble.root(), ec.generate_private_key(ec.SECP256R1()))
        key = load_pem_private_key((await self.pebble.asked("/intermediate-keys/0")).encode(), None)
        return Forged(await self.pebble.intermediate(), key, root)  # type: ignore[arg-type]

    def issues(
        self, wish: Callable[[Wish], Wish], *, with_issuer: bool = True, own_key: bool = False, by: Forged | None = None
    ) -> Tamper:
        """Issue what *wish* makes of a right certificate, for the key of the request or for another one; *by* another issuer."""

        async def tamper(_request: web.Request, _body: bytes, _signed: dict[str, Any]) -> bytes:
            issuer, asked = by or await self.issuer(), self.requests[-1]
            names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            right = Wish("", dns=tuple(names.get_values_for_type(x509.DNSName)), usages=(_SERVER_AUTH,))
            key = ec.generate_private_key(ec.SECP256R1()) if own_key else _PublicOf(asked.public_key())
            made = Forge(datetime.now(UTC)).forge(wish(right), issuer, reuse=key)  # type: ignore[arg-type]
            return certificates_pem([made.certificate, *([issuer.certificate] if with_issuer else [])])

        return tamper


_SERVER_AUTH = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH


@dataclass
class _PublicOf:
    """The key of a request, of which the forge needs the public half alone."""

    public: Any

    def public_key(self) -> Any:
        return self.public


@asynccontextmanager
async def cheating(pebble: Pebble) -> AsyncIterator[Cheat]:
    """Run a proxy before *pebble*, with a certificate of the same HTTPS root."""
    made = Cheat(pebble, free_port())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pebble.folder / "leaf.pem", pebble.folder / "leaf.key")
    await web.TCPSite(runner, HOST, made.port, ssl_context=context).start()
    try:
        yield made
    finally:
        await runner.cleanup()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def reached(port: int) -> bool:
    """Whether something listens at *port*."""
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0
