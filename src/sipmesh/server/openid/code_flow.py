"""The way of a browser to the provider and back: the authorization code flow with state, nonce and PKCE.

OpenID Connect Core 1.0 section 3.1, RFC 6749 section 4.1, RFC 7636, RFC 9207, and RFC 9700 section 2.1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from sipmesh.printable import printable
from sipmesh.server.openid.id_token import check_id_token
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.provider import OpenIdProvider, ProviderEntry
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.openid.metadata import ProviderMetadata
    from sipmesh.server.process.https_server_check import HttpsServerCheck

PENDING_S: Final = 600.0
"""Seconds for which a browser may stay at the provider."""

LONGEST_CODE: Final = 4096
LONGEST_TIME: Final = 12
LONGEST_NAME: Final = 64


class ClientEntry(ProviderEntry, Protocol):
    """A client of ours at a provider, in the topology."""

    @property
    def client_id(self) -> str:
        """Its name at the provider, a public client with PKCE."""

    @property
    def scopes(self) -> Sequence[str]:
        """The scopes to ask for, beside openid."""


Client = TypeVar("Client", bound=ClientEntry)


@dataclass(frozen=True, slots=True)
class _Pending:
    """One log-in on its way, which began at *at*. Its secrets follow from *key* and *about*: nothing of it is stored.

    So log-ins do not displace each other. *about* is the secret of the browser and the provider to which it went.
    """

    key: bytes = field(repr=False)
    at: int
    about: str = field(repr=False)

    def _secret(self, name: str) -> bytes:
        return hmac.digest(self.key, f"{name} {self.at} {self.about}".encode(), "sha256")

    @property
    def state(self) -> str:
        """The state (RFC 6749 section 10.12), which only the browser that began can bring back."""
        return f"{self.at}.{self._secret('state').hex()}"

    @property
    def nonce(self) -> str:
        """The nonce, which the ID token has to have."""
        return self._secret("nonce").hex()

    @property
    def verifier(self) -> str:
        """The verifier of PKCE (RFC 7636 section 4.1)."""
        return self._secret("verifier").hex()

    @property
    def challenge(self) -> str:
        """The challenge of PKCE, S256 (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class CodeFlow(Generic[Client]):
    """The log-ins of the client that *client* returns: that of the topology in force, None if there is none.

    *redirect_uri* returns the URL to which the provider sends browsers back, *anchors* the roots of the enterprise CA. *check*
    judges the certificate of the provider, and *clock* returns seconds that never go back.
    """

    def __init__(
        self,
        client: Callable[[], Client | None],
        redirect_uri: Callable[[], str],
        anchors: Callable[[], tuple[x509.Certificate, ...]],
        check: HttpsServerCheck,
        clock: Callable[[], float],
    ) -> None:
        self._client, self._redirect_uri, self._anchors = client, redirect_uri, anchors
        self._check, self._clock = check, clock
        self._key = secrets.token_bytes(32)
        self._provider: OpenIdProvider[Client] | None = None

    @property
    def is_on(self) -> bool:
        """Whether the topology in force has the client."""
        return self._client() is not None

    async def begin(self, browser: str) -> str:
        """Return the URL of the provider to which a browser goes; raises `OpenIdError`. *browser* is a secret of this browser."""
        provider = self._current()
        metadata = await provider.metadata()
        pending = self._pending(provider, int(self._clock()), browser)
        asked = {
            "response_type": "code",
            "client_id": provider.entry.client_id,
            "redirect_uri": self._redirect_uri(),
            "scope": " ".join(dict.fromkeys(("openid", *provider.entry.scopes))),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"

    async def finish(self, answer: Mapping[str, str], browser: str) -> tuple[Client, Mapping[str, Any]]:
        """Return the client and the claims for the *answer* of the provider; *browser* is the secret of who has brought it.

        The state counts for the browser that began, and for the provider to which it went. Raises `OpenIdError`.
        """
        provider, state = self._current(), answer.get("state", "")
        began = state.partition(".")[0]
        pending = self._pending(provider, int(began) if is_digits(began) and len(began) <= LONGEST_TIME else 0, browser)
        is_ours = secrets.compare_digest(pending.state.encode(), state.encode(errors="surrogatepass"))
        if not browser or not is_ours or self._clock() - pending.at >= PENDING_S:
            raise OpenIdError("its answer belongs to no log-in of this browser: the state differs, or is too old")
        metadata = await provider.metadata()
        _must_be_of(metadata, answer)
        if "error" in answer or not 0 < len(answer.get("code", "")) <= LONGEST_CODE:
            raise OpenIdError(f"it has refused: {printable(answer.get('error', 'no code'))[:LONGEST_NAME]}")
        client = provider.entry
        token = await provider.id_token_for(client.client_id, answer["code"], pending.verifier, self._redirect_uri())
        keys = await provider.keys()
        return client, check_id_token(
            token, keys, issuer=metadata.issuer, client_id=client.client_id, nonce=pending.nonce
        )

    def _pending(self, provider: OpenIdProvider[Client], at: int, browser: str) -> _Pending:
        return _Pending(self._key, at, f"{browser} {provider.entry.issuer} {provider.entry.client_id}")

    def _current(self) -> OpenIdProvider[Client]:
        """Return the provider of the topology in force; raises `OpenIdError` if there is none."""
        client, anchors = self._client(), self._anchors()
        if client is None:
            raise OpenIdError("the topology has no OpenID provider")
        provider = self._provider
        if provider is None or (provider.entry, provider.anchors) != (client, anchors):
            provider = self._provider = OpenIdProvider(client, anchors, self._check, self._clock)
        return provider


def _must_be_of(metadata: ProviderMetadata, answer: Mapping[str, str]) -> None:
    """Raise `OpenIdError` for the answer of another provider (RFC 9207 section 2.4: the mix-up attack)."""
    named = answer.get("iss", "" if metadata.names_itself else metadata.issuer)
    if named != metadata.issuer:
        raise OpenIdError("the answer is of another provider (iss)")
