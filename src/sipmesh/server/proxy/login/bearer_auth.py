"""Logins by access tokens of an OpenID provider (RFC 8898). A token counts on one link, until it expires or is revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule
from sipmesh.routing.authentication.digest import Proved, Refused
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.token_digest import digest_of
from sipmesh.server.proxy.token_login import TokenLogin
from sipmesh.sip.bearer import bearer_of
from sipmesh.sip.status import Status

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.openid import token_issuer
    from sipmesh.server.openid.access_token import AccessToken
    from sipmesh.server.process.https_server_check import HttpsServerCheck
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.login.login_waits import PendingLogin
    from sipmesh.server.proxy.login.token_uses import TokenUses
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.sip.message import Request
    from sipmesh.topology.document.parts.oauth import OAuth
else:
    token_issuer = LazyModule("sipmesh.server.openid.token_issuer")  # with its HTTP client, which few servers need

RECHECK_S: Final = 30.0
"""Seconds between two questions to the provider about the token of a user who is in."""

MOST_ASKING: Final = 256
"""Logins that wait for an answer of the provider; the others get 503."""

LONGEST_S: Final = 86_400.0
"""Seconds for which a token is remembered whose end another server knows."""

TAKEN: Final = "its access token has logged in on another link"
EXPIRED: Final = "its access token has expired"
REVOKED: Final = "its access token was revoked"
LOGGED_OUT: Final = "its user has logged out at the provider"


class BearerAuth:
    """The logins by tokens on one server. *check* makes the judge of the certificate of the provider."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        current: Current,
        uses: TokenUses,
        siblings: OtherProcesses,
        check: Callable[[], HttpsServerCheck],
    ) -> None:
        self._loop, self._current, self._uses, self._siblings, self._check = loop, current, uses, siblings, check
        self._issuer: token_issuer.TokenIssuer | None = None
        self._asking: dict[tuple[int, str], asyncio.Task[None]] = {}

    @property
    def oauth(self) -> OAuth | None:
        """The provider of the topology in force."""
        return self._current.value.view.loaded.topology.oauth

    def issuer(self) -> token_issuer.TokenIssuer | None:
        """Return what is known of the issuer of the topology in force, None if there is none."""
        loaded = self._current.value.view.loaded
        oauth, known, anchors = loaded.topology.oauth, self._issuer, loaded.authority.anchors
        if oauth is None:
            self._issuer = None
        elif known is None or (known.oauth, known.anchors) != (oauth, anchors):
            self._issuer = token_issuer.TokenIssuer(
                oauth, anchors, lambda: self._current.value.view.loaded, self._check(), self._loop.time
            )
        return self._issuer

    def check(self, flow: Flow, aor: str, token: str) -> Proved | Refused | None:
        """Judge *token* as a proof that the sender is *aor*; None if the provider has to be asked first (`ask`).

        Raises `OpenIdError` for a token that does not count.
        """
        issuer = self.issuer()
        if issuer is None:
            raise OpenIdError("the topology has no `oauth`")
        try:
            proved = issuer.judge(token)
        except token_issuer.IssuerAwayError as away:
            return Refused(Status.SERVICE_UNAVAILABLE, "Token Issuer Cannot Be Asked", f"token issuer away: {away}")
        if proved is None:
            return None
        homes = self._current.value.homes
        verifier = homes.verifier(aor)
        if proved.user != aor:
            raise OpenIdError(f"it names {proved.user}")
        if verifier is None or verifier.is_disabled or homes.group_rules(aor) is not None:
            raise OpenIdError("it names an unknown or disabled user, or a group")
        if verifier.has_ended(proved.issued_at, proved.session):
            raise OpenIdError(LOGGED_OUT)
        if self._uses.link_of(aor, proved.digest) not in {None, flow.number}:
            raise OpenIdError(TAKEN)
        self._use(flow, issuer.oauth, token, proved)
        return Proved(aor, verifier.generation, None, is_token=True)

    def _use(self, flow: Flow, oauth: OAuth, token: str, proved: AccessToken) -> None:
        """Bind a token to the link of *flow*, whose login ends with the token, unless a later token renews it."""
        now = time.time()
        is_known = self._uses.link_of(proved.user, proved.digest) is not None
        self._uses.use(proved.user, proved.digest, flow.number, proved.ends_at, now)
        if is_known:
            return
        self._siblings.token_used(proved.user, proved.digest, flow.number, proved.ends_at)
        ends_at = self._loop.time() + proved.ends_at - now
        login = flow.tokens[proved.user] = TokenLogin(oauth, ends_at, proved.issued_at, proved.session)
        self._loop.call_at(login.ends_at, self._end, flow, proved.user, login, EXPIRED)
        self._watch(flow, proved.user, login, token)

    def is_taken(self, flow: Flow, user: str, request: Request) -> bool:
        """Tell whether the token of a REGISTER that another server judges has logged in on another link here."""
        token = bearer_of(request)
        return token is not None and self._uses.link_of(user, digest_of(token)) not in {None, flow.number}

    def carried(self, flow: Flow, user: str, request: Request) -> None:
        """Bind a token that another server has accepted to the link of *flow*, or close it: another link was quicker."""
        token = bearer_of(request)
        if token is None:
            return
        if self.is_taken(flow, user, request):
            flow.link.close(TAKEN)
            return
        digest, now = digest_of(token), time.time()
        self._uses.use(user, digest, flow.number, now + LONGEST_S, now)
        self._siblings.token_used(user, digest, flow.number, now + LONGEST_S)

    def _end(self, flow: Flow, user: str, login: TokenLogin, why: str) -> None:
        """Close the link of a login, if no other login has replaced it there."""
        if not flow.closed and flow.tokens.get(user) is login:
            flow.link.close(why)

    def _watch(self, flow: Flow, user: str, login: TokenLogin, token: str) -> None:
        """Ask the provider from time to time whether the token of a login counts still."""
        if login.oauth.introspection is not None:
            self._loop.call_later(RECHECK_S, self._look_again, flow, user, login, token)

    def _look_again(self, flow: Flow, user: str, login: TokenLogin, token: str) -> None:
        issuer = self.issuer()
        if flow.closed or flow.tokens.get(user) is not login or issuer is None:
            return
        if len(self._asking) >= MOST_ASKING:
            self._watch(flow, user, login, token)
        else:
            self._run((flow.number, user), self._recheck(issuer, flow, user, login, token))

    async def _recheck(
        self, issuer: token_issuer.TokenIssuer, flow: Flow, user: str, login: TokenLogin, token: str
    ) -> None:
        """Close the link of a token that is revoked. While the provider cannot be asked, the link stays."""
        if await issuer.is_active(token) is False:
            self._end(flow, user, login, REVOKED)
        self._watch(flow, user, login, token)

    def is_outdated(self, flow: Flow, user: str) -> bool:
        """Tell whether a login was by the rules of another provider than that in force, or the user has logged out there."""
        login = flow.tokens.get(user)
        if login is None:
            return False
        verifier = self._current.value.homes.verifier(user)
        return login.oauth != self.oauth or (
            verifier is not None and verifier.has_ended(login.issued_at, login.session)
        )

    def ask(self, pending: PendingLogin) -> None:
        """Ask the provider, and check the credentials of *pending* again; refuse them if too many wait."""
        issuer, key = self.issuer(), (pending.flow.number, "")
        token = bearer_of(pending.received.request)
        if issuer is None or token is None or key in self._asking or len(self._asking) >= MOST_ASKING:
            pending.handler.login_given_up(pending)
            return
        self._run(key, self._ask(issuer, token, pending))

    async def _ask(self, issuer: token_issuer.TokenIssuer, token: str, pending: PendingLogin) -> None:
        await issuer.ask(token)
        if not pending.flow.closed:
            pending.handler.login_due(pending)

    def _run(self, key: tuple[int, str], work: Coroutine[None, None, None]) -> None:
        task = self._asking[key] = self._loop.create_task(work)
        task.add_done_callback(lambda _: self._asking.pop(key, None))
