"""The way of a browser to the provider and back: the authorization code flow with state, nonce and PKCE.

OpenID Connect Core 1.0 section 3.1, RFC 6749 section 4.1, RFC 7636, RFC 9207, and RFC 9700 section 2.1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from sipmesh.printable import printable
from sipmesh.server.console.access.openid.id_token import check_id_token
from sipmesh.server.console.access.openid.metadata import OpenIdError
from sipmesh.server.console.access.openid.provider import OpenIdProvider
from sipmesh.server.console.access.operator import OpenIdLogin
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.server.console.access.openid.metadata import ProviderMetadata
    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.topology.view import ServerView

CALLBACK: Final = "/login/openid/callback"
PENDING_S: Final = 600.0
"""Seconds for which a browser may stay at the provider."""

SESSION_S: Final = 3600.0
"""Seconds of a session: the provider may have taken the access away, which only a new log-in shows."""

LONGEST_CODE: Final = 4096
LONGEST_TIME: Final = 12
LONGEST_NAME: Final = 64
MOST_VALUES: Final = 1000


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


class OpenIdFlow:
    """The log-ins of one console; *view* returns the topology in force, and *clock* seconds that never go back.

    *check* judges the certificate of the provider.
    """

    def __init__(self, view: Callable[[], ServerView], clock: Callable[[], float], check: HttpsServerCheck) -> None:
        self._view, self._clock, self._check = view, clock, check
        self._key = secrets.token_bytes(32)
        self._provider: OpenIdProvider | None = None

    @property
    def is_on(self) -> bool:
        """Whether the topology in force has a provider."""
        console = self._view().loaded.topology.console
        return console is not None and console.openid is not None

    async def begin(self, browser: str) -> str:
        """Return the URL of the provider to which a browser goes; raises `OpenIdError`. *browser* is a secret of this browser."""
        provider = self._current()
        metadata = await provider.metadata()
        pending = self._pending(provider, int(self._clock()), browser)
        asked = {
            "response_type": "code",
            "client_id": provider.entry.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *provider.entry.scopes))),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"

    async def finish(self, answer: Mapping[str, str], browser: str) -> OpenIdLogin:
        """Return the log-in for the *answer* of the provider, which the browser with the secret *browser* has brought.

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
        token = await provider.id_token_for(answer["code"], pending.verifier, self._redirect_uri)
        entry = provider.entry
        claims = check_id_token(
            token, await provider.keys(), issuer=metadata.issuer, client_id=entry.client_id, nonce=pending.nonce
        )
        subject, name = hash_of(str(claims["sub"])), _name(claims, entry.name_claim)
        ends_at = self._clock() + SESSION_S
        return OpenIdLogin(entry, subject, name, _values(claims, entry.claim), ends_at, self._clock)

    def _pending(self, provider: OpenIdProvider, at: int, browser: str) -> _Pending:
        return _Pending(self._key, at, f"{browser} {provider.entry.issuer} {provider.entry.client_id}")

    def _current(self) -> OpenIdProvider:
        """Return the provider of the topology in force; raises `OpenIdError` if there is none."""
        loaded = self._view().loaded
        entry = loaded.topology.console.openid if loaded.topology.console is not None else None
        if entry is None:
            raise OpenIdError("the topology has no OpenID provider")
        provider, anchors = self._provider, loaded.authority.anchors
        if provider is None or (provider.entry, provider.anchors) != (entry, anchors):
            provider = self._provider = OpenIdProvider(entry, anchors, self._check, self._clock)
        return provider

    @property
    def _redirect_uri(self) -> str:
        view = self._view()
        port = view.console[1] if view.console is not None else 0
        return f"https://{view.name}:{port}{CALLBACK}"


def _must_be_of(metadata: ProviderMetadata, answer: Mapping[str, str]) -> None:
    """Raise `OpenIdError` for the answer of another provider (RFC 9207 section 2.4: the mix-up attack)."""
    named = answer.get("iss", "" if metadata.names_itself else metadata.issuer)
    if named != metadata.issuer:
        raise OpenIdError("the answer is of another provider (iss)")


def _name(claims: Mapping[str, Any], claim: str) -> str:
    """Return the name for the audit log; raises `OpenIdError` if the token has none that can be shown."""
    name = claims.get(claim)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or printable(name) != name:
        raise OpenIdError(f"its ID token has no usable claim {claim!r}")
    return name


def _values(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """Return the values that the topology maps to roles; the claim has one text, or a list of texts."""
    found = claims.get(claim, ())
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(value for value in values[:MOST_VALUES] if isinstance(value, str))
