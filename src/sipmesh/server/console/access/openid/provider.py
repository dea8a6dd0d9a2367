"""The questions to an OpenID provider: its metadata, its keys, and an ID token for a code."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.server.console.access.openid.key_set import read_keys
from sipmesh.server.console.access.openid.metadata import WELL_KNOWN, OpenIdError, ProviderMetadata
from sipmesh.strict_json import read_json
from sipmesh.topology.document.operators.openid import OpenIdAuthority

if TYPE_CHECKING:
    import jwt
    from cryptography import x509

    from sipmesh.topology.document.operators.openid import OpenId

LARGEST: Final = 256 << 10
"""Octets of an answer of the provider."""

ANSWER_S: Final = 10.0
KEPT_S: Final = 300.0
"""Seconds for which the metadata counts; keys are fetched for each log-in."""


class OpenIdProvider:
    """Asks the provider of *entry*; *anchors* are those of the enterprise CA, and *clock* returns seconds that never go back."""

    def __init__(self, entry: OpenId, anchors: Sequence[x509.Certificate], clock: Callable[[], float]) -> None:
        self.entry, self._clock = entry, clock
        self._context = _context(entry, anchors)
        self._metadata: ProviderMetadata | None = None
        self._read_at = 0.0

    def __repr__(self) -> str:
        return f"<OpenIdProvider {self.entry.issuer}>"

    async def metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself; raises `OpenIdError`."""
        now = self._clock()
        if self._metadata is None or now - self._read_at >= KEPT_S:
            document = await self._ask("GET", self.entry.issuer.rstrip("/") + WELL_KNOWN)
            self._metadata, self._read_at = ProviderMetadata.read(document, self.entry.issuer), now
        return self._metadata

    async def id_token_for(self, code: str, verifier: str, redirect_uri: str) -> str:
        """Change *code* for an ID token, with the verifier of PKCE (RFC 7636 section 4.5); raises `OpenIdError`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.entry.client_id,
            "code_verifier": verifier,
        }
        token = (await self._ask("POST", (await self.metadata()).token_endpoint, form)).get("id_token")
        if not isinstance(token, str):
            raise OpenIdError("it has answered without an ID token")
        return token

    async def keys(self) -> Sequence[jwt.PyJWK]:
        """Return the keys of the provider (RFC 7517 section 5); raises `OpenIdError`."""
        return read_keys(await self._ask("GET", (await self.metadata()).jwks_uri))

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Ask without following redirections: the answer must come from where the metadata says."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.TCPConnector(ssl=self._context)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
                session.request(method, url, data=form, allow_redirects=False) as answer,
            ):
                body = await _bounded(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as wrong:
            raise OpenIdError(f"{url} cannot be asked: {str(wrong) or 'it takes too long'}") from None
        if answer.status != HTTPStatus.OK:
            raise OpenIdError(f"{url} answers {answer.status}")
        return _object(body, url)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > LARGEST:
            raise OpenIdError(f"it has answered with more than {LARGEST} octets")
    return bytes(body)


def _object(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        found = read_json(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OpenIdError(f"{url} answers no JSON object")
    return found


def _context(entry: OpenId, anchors: Sequence[x509.Certificate]) -> ssl.SSLContext:
    """Return a context that trusts the authorities of this machine, or the enterprise CA alone."""
    if entry.authority is OpenIdAuthority.PUBLIC:
        return ssl.create_default_context()
    pem = "".join(anchor.public_bytes(Encoding.PEM).decode() for anchor in anchors)
    return ssl.create_default_context(cadata=pem)
