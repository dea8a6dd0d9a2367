"""The rules of a user's calls, changed in the web phone: the operations of the portal, for who shows a ticket.

No path and no body names a user: whose rules they are follows from the ticket alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.errors import SipmeshError, UnusableDatabaseError
from sipmesh.server.console.operations import RULES_CHANGE, RULES_CLEAR
from sipmesh.server.console.parameters import UserRules
from sipmesh.server.console.user_commands import RULES as NAMES
from sipmesh.server.portal.portal_guard import CHANGES_A_MINUTE
from sipmesh.server.portal.portal_user import PortalUser
from sipmesh.server.process.http_runner import too_many
from sipmesh.server.process.request_rate import RequestRate
from sipmesh.storage.users.call_rule_edit import RuleError
from sipmesh.strict_json import read_object
from sipmesh.topology.document.parts.invitations import RULES
from sipmesh.typed_json import UnreadableJsonError, read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sipmesh.server.console.operations import Operations
    from sipmesh.server.invitations.strangers import Strangers
    from sipmesh.server.invitations.ticket_login import Handler, TicketLogin

LARGEST_CHANGE: Final = 64 << 10
"""Octets of a change: it names 64 callers at most."""

UNFIT: Final = 422
"""The rule cannot be kept; the body says why, and at which field (RFC 9110 section 15.5.21)."""


class RulePages:
    """Runs *operations* of the portal for the users of *login*; *strangers* counts wrong tickets of each address.

    *clock* returns seconds that never go back.
    """

    def __init__(
        self, operations: Operations, login: TicketLogin, strangers: Strangers, clock: Callable[[], float]
    ) -> None:
        self._operations, self._login, self._strangers = operations, login, strangers
        self._rates = RequestRate(CHANGES_A_MINUTE, clock)

    def routes(self) -> list[web.RouteDef]:
        """Return every path."""
        return [
            web.options(RULES, self._preflight),
            web.put(RULES, self._answering(self._change)),
            web.delete(RULES, self._answering(self._clear)),
        ]

    async def _preflight(self, request: web.Request) -> web.Response:
        return self._login.preflight(request, ("PUT", "DELETE"))

    def _answering(self, act: Callable[[web.Request, PortalUser], Awaitable[Mapping[str, object]]]) -> Handler:
        """Return the handler that does *act* for the user of the ticket."""

        async def answer(request: web.Request) -> web.Response:
            try:
                found, status = await act(request, await self._user(request)), web.HTTPOk.status_code
            except RuleError as wrong:
                found, status = {"field": wrong.rule, "error": wrong.message}, UNFIT
            except UnusableDatabaseError:
                raise
            except SipmeshError as wrong:
                found, status = {"field": _field_of(wrong), "error": str(wrong)}, UNFIT
            return web.json_response(found, status=status)

        return self._login.for_phone(answer)

    async def _user(self, request: web.Request) -> PortalUser:
        """Return the user who shows a ticket, named with the device; raises 401 for a wrong one, and 429 for too many."""
        holder = await self._login.holder(request)
        if holder is None:
            raise self._strangers.wrong_login(request, ("Bearer",))
        if not self._rates.admits(holder.user):
            raise too_many()
        return PortalUser.at_web_phone(holder.user.removeprefix("sip:"), holder.server, holder.device)

    async def _change(self, request: web.Request, user: PortalUser) -> Mapping[str, object]:
        """Change the rules that the body names; those that it does not name stay."""
        asked = _asked(await request.read())
        done = await self._operations.read(RULES_CHANGE, user, asked)
        return {"missing": len(done.missing)}

    async def _clear(self, _request: web.Request, user: PortalUser) -> Mapping[str, object]:
        """Remove all rules."""
        done = await self._operations.read(RULES_CLEAR, user, {})
        return {"missing": len(done.missing)}


def _asked(body: bytes) -> Mapping[str, object]:
    """Return the changes in a body; raises `UnreadableJsonError` for another JSON, and for a key that is no rule."""
    try:
        asked = read_object(body)
    except ValueError as wrong:
        raise UnreadableJsonError(f"this is no JSON object: {wrong}") from None
    if unknown := asked.keys() - NAMES:
        raise UnreadableJsonError(f"{min(unknown)[:32]} is no rule of calls")
    read(UserRules, {**asked, "user": "of the ticket"})
    return asked


def _field_of(wrong: SipmeshError) -> str:
    """Return the rule that a message begins with, "" if it begins with none."""
    name = str(wrong).partition(":")[0].partition(".")[0]
    return name if name in NAMES else ""
