"""An ACME client that can send what a well-behaved one does not, and servers that answer its challenges."""

from __future__ import annotations

import asyncio
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.ports import HOST
from sipmesh.server.enrolment.acme.challenges import ALPN, IDENTIFIER
from sipmesh.server.enrolment.paths import ACME
from sipmesh.sip import base64url
from support.console import Answer, Visitor
from support.enrolling import BOT, new_key, request, write_pair
from support.managed import MGMT

JOSE = {"Content-Type": "application/jose+json"}


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """The public key as JSON Web Key."""
    numbers = key.public_key().public_numbers()
    x, y = (base64url.encode(number.to_bytes(32)) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(key: ec.EllipticCurvePrivateKey) -> str:
    """The thumbprint of a key (RFC 7638)."""
    return base64url.encode(sha256(json.dumps(jwk(key), separators=(",", ":")).encode()).digest())


def jws(header: Mapping[str, Any], payload: object, key: ec.EllipticCurvePrivateKey | bytes) -> dict[str, str]:
    """A JWS in flattened JSON; octets as *key* make a MAC."""
    text = "" if payload is None else json.dumps(payload)
    protected, body = (base64url.encode(part.encode()) for part in (json.dumps(header), text))
    signed = f"{protected}.{body}".encode()
    if isinstance(key, bytes):
        signature = hmac.digest(key, signed, "sha256")
    else:
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return {"protected": protected, "payload": body, "signature": base64url.encode(signature)}


@dataclass
class AcmeClient:
    """A client with an account *key*, which talks through *visitor*; *account* is the URL of its account."""

    visitor: Visitor
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    account: str = ""

    @property
    def base(self) -> str:
        """The URL of management."""
        return f"https://{MGMT}:{self.visitor.port}"

    async def nonce(self) -> str:
        """A fresh nonce."""
        return (await self.visitor.ask("HEAD", f"{ACME}/new-nonce")).headers["Replay-Nonce"]

    async def post(self, where: str, payload: object = None, **changed: Any) -> Answer:
        """Send a signed request to a path or URL; *changed* are fields of its header, None for one to leave out."""
        path = where.removeprefix(self.base)
        path = path if path.startswith(ACME) else f"{ACME}/{path}"
        by = {"kid": self.account} if self.account else {"jwk": jwk(self.key)}
        header = {"alg": "ES256", "nonce": await self.nonce(), "url": f"{self.base}{path}", **by, **changed}
        signed = jws({name: value for name, value in header.items() if value is not None}, payload, self.key)
        return await self.send(path, signed)

    async def send(self, path: str, signed: object) -> Answer:
        """Send what was signed."""
        body = signed if isinstance(signed, bytes) else json.dumps(signed).encode()
        answer = await self.visitor.ask("POST", path, data=body, headers=JOSE)
        if answer.headers["Content-Type"].startswith("application/problem+json"):
            answer.json = json.loads(answer.text)
        return answer

    def binding(self, token: Mapping[str, str], **changed: Any) -> dict[str, str]:
        """The external account binding of a token."""
        header = {"alg": "HS256", "kid": token["key_id"], "url": f"{self.base}{ACME}/new-account", **changed}
        return jws(header, jwk(self.key), base64url.decode(token["mac_key"].encode()))

    async def register(self, token: Mapping[str, str], **more: object) -> Answer:
        """Make an account with a token."""
        answer = await self.post(
            "new-account", {"termsOfServiceAgreed": True, "externalAccountBinding": self.binding(token), **more}
        )
        if answer.status == 201:
            self.account = answer.headers["Location"]
        return answer

    async def order(self, *names: str, **more: object) -> Answer:
        """Begin an order."""
        return await self.post("new-order", {"identifiers": [{"type": "dns", "value": n} for n in names], **more})

    async def challenge_of(self, order: Answer, kind: str) -> dict[str, str]:
        """The challenge of a *kind*, of an order that was begun."""
        assert order.status == 201, order.text
        authorization = (await self.post(order.json["authorizations"][0])).json
        return next(one for one in authorization["challenges"] if one["type"] == kind)

    async def validated(self, order: Answer, kind: str = "http-01") -> Any:
        """Have a challenge validated; gives the order with its outcome."""
        challenge = await self.challenge_of(order, kind)
        assert (await self.post(challenge["url"], {})).status == 200
        return await self.settled(order.headers["Location"])

    async def settled(self, order: str) -> Any:
        """The order once it is not pending any more."""
        async with asyncio.timeout(30):
            while (found := (await self.post(order)).json)["status"] == "pending":
                await asyncio.sleep(0.1)
        return found

    async def finalized(self, order: Any, der: bytes) -> Answer:
        """Ask for the certificate of an order that is ready."""
        return await self.post(order["finalize"], {"csr": base64url.encode(der)})

    async def certificate(
        self, key: ec.EllipticCurvePrivateKey | None = None, name: str = BOT, **more: object
    ) -> x509.Certificate:
        """Get a certificate for *name*, whose http-01 a server answers."""
        order = await self.validated(await self.order(name, **more))
        assert order["status"] == "ready", order
        done = await self.finalized(order, request(key or new_key(), name, common=""))
        assert (done.status, done.json["status"]) == (200, "valid"), done.text
        return x509.load_pem_x509_certificates((await self.post(done.json["certificate"])).text.encode())[0]


@asynccontextmanager
async def web_server(client: AcmeClient, port: int, answer: str | None = None) -> AsyncIterator[list[str]]:
    """Answer http-01 for the key of *client*, or with *answer*; a URL as answer is a redirection. Gives the paths asked for."""
    asked: list[str] = []

    async def handle(found: web.Request) -> web.Response:
        asked.append(found.path)
        if answer is not None and answer.startswith("http://"):
            raise web.HTTPFound(answer)
        token = found.path.rpartition("/")[2]
        return web.Response(text=answer if answer is not None else f"{token}.{thumbprint(client.key)}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield asked
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tls_server(folder: Path, port: int, authorization: str, name: str = BOT) -> AsyncIterator[None]:
    """Answer tls-alpn-01 with *authorization*."""
    key, at = new_key(), datetime.now(UTC)
    mark = x509.UnrecognizedExtension(IDENTIFIER, b"\x04\x20" + sha256(authorization.encode()).digest())
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(mark, critical=True)
        .sign(key, SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pair(folder, certificate, key))
    context.set_alpn_protocols([ALPN])
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, port, ssl=context)
    try:
        yield
    finally:
        server.close()


def encoded(certificate: x509.Certificate) -> str:
    """A certificate as ACME carries it."""
    return base64url.encode(certificate.public_bytes(Encoding.DER))


def certificate_id(certificate: x509.Certificate) -> str:
    """The identifier of a certificate in renewal information (RFC 9773 4.1)."""
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1)
    return f"{base64url.encode(issuer or b'')}.{base64url.encode(octets)}"
