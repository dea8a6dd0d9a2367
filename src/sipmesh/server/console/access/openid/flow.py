"""The log-ins of operators at one console by its OpenID provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.printable import printable
from sipmesh.server.console.access.account import account_at_log_in
from sipmesh.server.console.access.operator import OpenIdLogin
from sipmesh.server.console.access.operator_certificate import issuing_of
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.openid.access_token import user_of
from sipmesh.server.openid.code_flow import LONGEST_NAME, CodeFlow
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token_digest import session_hash
from sipmesh.server.process.https_server_check import HttpsServerCheck

if TYPE_CHECKING:
    from sipmesh.server.console.access.account import Account
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.operators.openid import OpenId
    from sipmesh.topology.view import ServerView

CALLBACK: Final = "/login/openid/callback"
SESSION_S: Final = 3600.0
"""Seconds of a session: the provider may have taken the access away, which only a new log-in shows."""

MOST_VALUES: Final = 1000


class OpenIdFlow:
    """The log-ins of one console; *view* returns the topology in force, and *clock* seconds that never go back.

    *check* judges the certificate of the provider.
    """

    def __init__(self, view: Callable[[], ServerView], clock: Callable[[], float], check: HttpsServerCheck) -> None:
        self._view, self._clock = view, clock
        self._flow = CodeFlow(self._entry, self._redirect_uri, lambda: view().loaded.authority.anchors, check, clock)

    @property
    def is_on(self) -> bool:
        """Whether the topology in force has a provider."""
        return self._flow.is_on

    async def begin(self, browser: str) -> str:
        """Return the URL of the provider to which a browser goes (`CodeFlow.begin`)."""
        return await self._flow.begin(browser)

    async def finish(self, answer: Mapping[str, str], browser: str) -> OpenIdLogin:
        """Return the log-in for the *answer* of the provider (`CodeFlow.finish`); raises `OpenIdError`."""
        entry, claims = await self._flow.finish(answer, browser)
        subject, name = hash_of(str(claims["sub"])), _name(claims, entry.name_claim)
        ends_at, session = self._clock() + SESSION_S, session_hash(str(claims.get("sid") or ""))
        account = await self._account(entry, claims)
        values = _values(claims, entry.claim)
        return OpenIdLogin(entry, subject, name, values, ends_at, self._clock, session, account)

    async def _account(self, entry: OpenId, claims: Mapping[str, Any]) -> Account | None:
        """Return the account of the person as a user, if the provider is that of the users too; raises `OpenIdError`."""
        loaded = self._view().loaded
        oauth, user = loaded.topology.oauth, ""
        if oauth is not None and oauth.issuer == entry.issuer:
            with suppress(OpenIdError):  # the operator is no user of ours
                user = user_of(claims, oauth.claim, loaded.topology.sip_domains).removeprefix("sip:")
        try:
            return await account_at_log_in(loaded, user)
        except SipmeshError as wrong:
            raise OpenIdError(str(wrong)) from None

    def _entry(self) -> OpenId | None:
        console = self._view().loaded.topology.console
        return console.openid if console is not None else None

    def _redirect_uri(self) -> str:
        view = self._view()
        port = view.console[1] if view.console is not None else 0
        return f"https://{view.name}:{port}{CALLBACK}"


def provider_check(node: RunningServer) -> HttpsServerCheck:
    """Return the check of the provider of *node*'s network; our issuing CAs are read again for each connection to it."""
    return HttpsServerCheck(
        node.view.name,
        lambda: node.view.loaded,
        lambda: issuing_of(node.view.loaded.folder / CA, node.certificates),
        node.gatekeeper.clock,
    )


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
