"""The questions to an OpenID provider: its metadata, its keys, an ID token for a code, and whether a token is revoked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote_plus

import aiohttp

from sipmesh.server.openid.key_set import read_keys
from sipmesh.server.openid.metadata import WELL_KNOWN, OpenIdError, ProviderMetadata
from sipmesh.server.process.https_server_check import HttpsServerCheck, https_context
from sipmesh.strict_json import read_object
from sipmesh.topology.document.operators.openid import OpenIdAuthority

if TYPE_CHECKING:
    import jwt
    from cryptography import x509


LARGEST: Final = 256 << 10
"""Octets of an answer of the provider."""

ANSWER_S: Final = 10.0
KEPT_S: Final = 300.0
"""Seconds for which the metadata counts; keys are fetched for each log-in."""


class ProviderEntry(Protocol):
    """A provider in the topology."""

    @property
    def issuer(self) -> str:
        """Its URL, exactly as its tokens have it in ``iss``."""

    @property
    def authority(self) -> OpenIdAuthority:
        """Who may have issued its certificate."""


Entry = TypeVar("Entry", bound=ProviderEntry)


class OpenIdProvider(Generic[Entry]):
    """Asks the provider of *entry*; *check* judges its certificate, and *clock* returns seconds that never go back.

    *anchors* are those of the enterprise CA.
    """

    def __init__(
        self,
        entry: Entry,
        anchors: tuple[x509.Certificate, ...],
        check: HttpsServerCheck,
        clock: Callable[[], float],
    ) -> None:
        self.entry, self.anchors, self._check, self._clock = entry, anchors, check, clock
        self._context = https_context(anchors if entry.authority is OpenIdAuthority.ENTERPRISE else ())
        self._metadata: ProviderMetadata | None = None
        self._read_at = 0.0

    async def metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself; raises `OpenIdError`."""
        now = self._clock()
        if self._metadata is None or now - self._read_at >= KEPT_S:
            document = await self._ask("GET", self.entry.issuer.rstrip("/") + WELL_KNOWN)
            self._metadata, self._read_at = ProviderMetadata.read(document, self.entry.issuer), now
        return self._metadata

    async def id_token_for(self, client_id: str, code: str, verifier: str, redirect_uri: str) -> str:
        """Change *code* for an ID token, with the verifier of PKCE (RFC 7636 section 4.5); raises `OpenIdError`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": client_id,
            "code_verifier": verifier,
        }
        token = (await self._ask("POST", (await self.metadata()).token_endpoint, form)).get("id_token")
        if not isinstance(token, str):
            raise OpenIdError("it has answered without an ID token")
        return token

    async def keys(self) -> Sequence[jwt.PyJWK]:
        """Return the keys of the provider (RFC 7517 section 5); raises `OpenIdError`."""
        return read_keys(await self._ask("GET", (await self.metadata()).jwks_uri))

    async def is_active(self, token: str, client_id: str, secret: str) -> bool:
        """Ask whether *token* counts still, as the client *client_id* (RFC 7662 section 2); raises `OpenIdError`."""
        url = (await self.metadata()).introspection_endpoint
        if not url:
            raise OpenIdError("it has no introspection_endpoint")
        known = f"{quote_plus(client_id)}:{quote_plus(secret)}"  # RFC 6749 section 2.3.1
        headers = {"Authorization": f"Basic {b64encode(known.encode()).decode()}"}
        form = {"token": token, "token_type_hint": "access_token"}
        return (await self._ask("POST", url, form, headers)).get("active") is True

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """Ask without following redirections: the answer must come from where the metadata says."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.TCPConnector(ssl=self._check)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
                session.request(
                    method, url, data=form, headers=headers, allow_redirects=False, ssl=self._context
                ) as answer,
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
        return read_object(body)
    except ValueError as wrong:
        raise OpenIdError(f"{url} answers no JSON object: {wrong}") from None
