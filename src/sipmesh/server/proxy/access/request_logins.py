"""Authenticates the sender of a request, here or at its home pool, and decides about the request again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.authentication.digest import Proved
from sipmesh.routing.outcome import try_later
from sipmesh.routing.roles.decide import decide
from sipmesh.server.proxy.execution.user_targets import NO_USERS_YET, NOT_TAKEN_OVER

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.access.access_proxy import AccessProxy
    from sipmesh.server.proxy.execution.executor import Executor
    from sipmesh.server.proxy.execution.responder import Responder
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.login.login_waits import LoginWaits, PendingLogin

TOO_MANY_LOGINS: Final = try_later("too many logins of this user, or from this address, wait")


class RequestLogins:
    """The logins that requests need, decided by what is in force."""

    def __init__(
        self,
        *,
        current: Current,
        logins: DigestAuth,
        login_waits: LoginWaits,
        access: AccessProxy,
        executor: Executor,
        responder: Responder,
    ) -> None:
        self._current, self._logins, self._login_waits = current, logins, login_waits
        self._access, self._executor, self._responder = access, executor, responder

    def __repr__(self) -> str:
        return f"<RequestLogins {self._login_waits!r}>"

    def give_up(self) -> None:
        """Refuse the requests that wait for their login: this server takes no new request."""
        self._login_waits.give_up()

    def log_in(self, pending: PendingLogin) -> None:
        """Authenticate the sender, unless the login has to wait, and decide again."""
        if not self._logins.knows(pending.aor):
            self._responder.answer(pending.flow, pending.request, pending.key, NO_USERS_YET)
        elif not self._login_waits.has_to_wait(pending, self):
            self._authenticate(pending)

    def resume_login(self, pending: PendingLogin) -> None:
        """Check credentials after their wait; errors of the request are handled here, as `Dispatch.arrived` does."""
        try:
            self._authenticate(pending)
        except RemoteError as wrong:
            self._responder.refuse_malformed(pending.flow, pending.request, wrong)
        except SipmeshError as wrong:
            self._responder.refuse_failed(pending.flow, pending.request, wrong)

    def give_up_login(self, pending: PendingLogin) -> None:
        """Answer 503 to a login that cannot wait, because too many wait."""
        self._responder.answer(pending.flow, pending.request, pending.key, TOO_MANY_LOGINS)

    def _authenticate(self, pending: PendingLogin) -> None:
        """Decide again if the credentials are right; otherwise challenge the sender again."""
        flow, request, key, aor = pending.flow, pending.request, pending.key, pending.aor
        home = self._access.home_of(flow, aor) if request.method == "REGISTER" else ""
        if home:
            self._executor.carry_login(pending, self._access.carried(pending, home))
            return
        if request.method == "REGISTER" and self._access.is_too_early(flow, aor):
            self._responder.answer(flow, request, key, NOT_TAKEN_OVER)
            return
        in_force, here = self._current.value, flow.link.local
        result = self._logins.check(flow, request, aor, lambda uri: in_force.names.ours(uri, here))
        if isinstance(result, Proved) and flow.sender is not None:
            outcome = decide(request, pending.place, flow.sender, in_force.facts)
            self._executor.carry_out(flow, request, key, outcome, pending.loop)
            return
        response = self._logins.answer(flow, request, aor, result)
        if response is not None:
            self._responder.reply(flow, request, key, response)
