"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): the provider tells that a user has logged out there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import SipmeshError
from sipmesh.server.console.access.guard import form_of
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.control_socket import WHO, Command
from sipmesh.server.openid.access_token import user_of
from sipmesh.server.openid.logout_token import OLDEST_S, LogoutToken, check_logout_token
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.provider import OpenIdProvider
from sipmesh.server.openid.token import LEEWAY_S, UnknownKeyError
from sipmesh.server.openid.token_digest import session_hash
from sipmesh.server.openid.token_issuer import AGAIN_S, ASK_AFTER_S
from sipmesh.server.portal.portal_user import clients_of, provider_of

if TYPE_CHECKING:
    import jwt

    from sipmesh.server.portal.portal_guard import PortalGuard
    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.topology.document.operators.openid import OpenId
    from sipmesh.topology.document.parts.oauth import OAuth
    from sipmesh.topology.view import ServerView

LOGOUT: Final = "/openid/logout"
ACTOR: Final = "OpenID provider"
MOST_REMEMBERED: Final = 10_000
_FAILED: Final = web.HTTPBadRequest.status_code


EndConsole = Callable[[str, str, str], int]
"""Ends the sessions of operators by issuer, hash of ``sub`` and hash of ``sid``, and says how many there were."""


@dataclass(slots=True)
class _Told:
    """A token that was accepted, and counts until *ends_at*; the tokens of the users who are *left* could not be ended yet."""

    ends_at: float
    left: set[str] = field(default_factory=set)


class LogoutEndpoint:
    """Ends the sessions of *guard* and the access tokens of a user; *end_tokens* is the command `TOKENS_END`.

    *end_console* is `ConsoleServer.log_out`. *view* returns the topology in force, *check* judges the certificate of the
    provider, *clock* returns seconds that never go back.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        guard: PortalGuard,
        end_tokens: Command,
        check: HttpsServerCheck,
        clock: Callable[[], float],
        end_console: EndConsole,
    ) -> None:
        self._view, self._guard, self._end_tokens, self._check, self._clock = view, guard, end_tokens, check, clock
        self._end_console = end_console
        self._provider: OpenIdProvider[OAuth | OpenId] | None = None
        self._keys: Sequence[jwt.PyJWK] = ()
        self._asked_at = float("-inf")
        self._told: dict[str, _Told] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 once the servers know of the logout, and 400 to a token that does not count (section 2.8)."""
        try:
            await self._log_out(await self._judged((await form_of(request)).get("logout_token", "")))
        except SipmeshError as wrong:
            self._guard.refuse(request, "back-channel logout", wrong)
            return web.json_response({"error": "invalid_request"}, status=_FAILED)
        return web.Response()

    async def _judged(self, token: str) -> LogoutToken:
        """Return what *token* says, once; raises `OpenIdError`. A stranger can name any key, so keys are fetched rarely."""
        topology = self._view().loaded.topology
        provider = provider_of(topology)
        if provider is None or not clients_of(topology):
            raise OpenIdError(
                "the topology has no client of a provider: add `oauth.portal`, `oauth.web_phone` or `console.openid`"
            )
        if self._clock() - self._asked_at >= ASK_AFTER_S:
            await self._fetch(provider)
        try:
            found = self._checked(token, provider)
        except UnknownKeyError:
            if self._clock() - self._asked_at < AGAIN_S:
                raise
            await self._fetch(provider)
            found = self._checked(token, provider)
        return found

    def _checked(self, token: str, entry: OAuth | OpenId) -> LogoutToken:
        provider = self._provider
        keys = self._keys if provider is not None and provider.entry == entry else ()
        return check_logout_token(token, keys, entry.issuer, clients_of(self._view().loaded.topology), time.time())

    async def _fetch(self, entry: OAuth | OpenId) -> None:
        anchors = self._view().loaded.authority.anchors
        if self._provider is None or (self._provider.entry, self._provider.anchors) != (entry, anchors):
            self._provider = OpenIdProvider(entry, anchors, self._check, self._clock)
        self._asked_at = self._clock()
        self._keys = await self._provider.keys()

    def _use(self, found: LogoutToken) -> _Told:
        """Remember a token until it is too old; raises `OpenIdError` for a used token, and if too many are remembered.

        A token that could not be carried out for all its users is not used: the provider may send it again.
        """
        now = self._clock()
        self._told = {one: told for one, told in self._told.items() if told.ends_at > now}
        known = self._told.get(found.id)
        if known is not None and not known.left:
            raise OpenIdError("its logout token is refused: it was used (jti)")
        if known is None and len(self._told) >= MOST_REMEMBERED:
            raise OpenIdError(f"its logout token is refused: {len(self._told):,} others are remembered; send it later")
        return self._told.setdefault(found.id, _Told(now + OLDEST_S + 2 * LEEWAY_S))

    async def _log_out(self, found: LogoutToken) -> None:
        """End sessions of the portal, and access tokens; raises `OpenIdError` for a token that names no user of ours."""
        told = self._use(found)
        subject = hash_of(found.subject) if found.subject else ""
        session = session_hash(found.session)
        told.left.update(self._guard.end(subject, session))
        topology = self._view().loaded.topology
        provider = provider_of(topology)
        operators = self._end_console(provider.issuer, subject, session) if provider is not None else 0
        if topology.oauth is not None and topology.oauth.claim in found.claims:
            named = user_of(found.claims, topology.oauth.claim, topology.sip_domains)
            told.left.add(named.removeprefix("sip:"))
        if not told.left and not operators:
            raise OpenIdError(
                "its logout token names no user of ours: it has neither `oauth.claim` nor a session of portal or console"
            )
        await self._end_all(told, session, found.at)

    async def _end_all(self, told: _Told, session: str, at: int) -> None:
        """End the access tokens of the users who are left; what fails for one of them is raised at the end."""
        faults = list[SipmeshError]()
        for user in sorted(told.left):
            try:
                await self._end_tokens({"user": user, "session": session, "at": at, WHO: ACTOR})
                told.left.discard(user)
            except SipmeshError as wrong:
                faults.append(wrong)
        if faults:
            raise faults[0]
