"""The pages about users, their devices, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.server.admin.replies import REGISTRATIONS, USER, BindingReply, LoginFailureReply, LoginReply, UserReply
from sipmesh.server.console import user_commands
from sipmesh.server.console.operations import AUDIT, AUDIT_CHECK, SEARCH, USER_DEVICES, USERS, operation_of
from sipmesh.server.console.pages.table import Column, Table, Wanted
from sipmesh.server.console.parameters import typed
from sipmesh.server.console.replies import AuditEntry, SearchReply
from sipmesh.server.management.device_certificates import DeviceCertificate
from sipmesh.storage.users.account_report import AccountReport
from sipmesh.storage.users.device import Device
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.user_list import UserSort
from sipmesh.topology.home_pools import front_end_pools
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame, Show


DEVICES: Final = (
    Column[BindingReply]("User", lambda one: one.user),
    Column[BindingReply]("Server", lambda one: one.server),
    Column[BindingReply]("Contact", lambda one: one.contact),
    Column[BindingReply]("User agent", lambda one: one.user_agent),
    Column[BindingReply]("From", lambda one: one.remote),
    Column[BindingReply]("TLS"),
    Column[BindingReply]("Expires", lambda one: one.expires),
)
OWN_DEVICES: Final = tuple(map(Column[Device], ("Device", "Software", "Since", "From", "Last login")))
INVITATIONS: Final = tuple(map(Column[Invitation], ("Invitation", "Device", "State", "Ends")))
DEVICE_CERTIFICATES: Final = tuple(map(Column[DeviceCertificate], ("Device", "State", "Ends", "Serial number")))
FAILURES: Final = tuple(map(Column[LoginFailureReply], ("Last", "Reason", "Times", "From", "User agent")))
LOGINS: Final = tuple(map(Column[LoginReply], ("At", "From", "Digest", "User agent")))
USER_COLUMNS: Final = (
    Column[AccountReport]("User", lambda one: one.user),
    Column[AccountReport]("Home pool", lambda one: one.pool),
    Column[AccountReport]("Aliases"),
    Column[AccountReport]("Digest"),
    Column[AccountReport]("Created", lambda one: one.created),
    Column[AccountReport]("State", lambda one: one.disabled),
)
SORTS: Final = {
    "User": UserSort.USER,
    "Home pool": UserSort.POOL,
    "Created": UserSort.CREATED,
    "State": UserSort.DISABLED,
}
LINES: Final = tuple(map(Column[AuditEntry], ("Line", "At", "By", "What", "About")))


class LivePages:
    """Shows the users of the network, and the last events."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def pages(self) -> Mapping[str, Show]:
        """Return every page by its path."""
        return {
            "/users": self._users,
            "/users/{user}": self._user,
            "/registrations": self._registrations,
            "/audit": self._audit,
            "/search": self._search,
            "/audit/check": self._audit_check,
        }

    @property
    def _pools(self) -> tuple[str, ...]:
        return front_end_pools(self._frame.view().loaded.topology)

    async def _users(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        asked = Wanted.of(request.path, request.query)
        sort = SORTS.get(asked.sort, UserSort.USER)
        given = {"find": asked.find, "sort": sort, "descending": asked.descending, "page": asked.page}
        known = await self._frame.read(request, USERS, **given)
        users = Table(USER_COLUMNS, known.users, known.found, known.total, asked, user_commands.MOST_USERS)
        invites = self._frame.view().loaded.topology.invitations is not None
        return "users.html", {"known": known, "users": users, "invites": invites}

    async def _user(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        known = await self._frame.read(request, USER.name, user=request.match_info["user"])
        asked = Wanted(request.path)
        here = [one for one in known.servers if one.role is Role.FRONT_END]
        shown = {
            "here": [(one, Table.of(DEVICES, devices, asked)) for one, devices in _devices_of(here)],
            "failures": {one.server: Table.of(FAILURES, one.failures, asked) for one in here},
            "logins": {one.server: Table.of(LOGINS, one.logins, asked) for one in here},
            "waiting": max((one.messages_waiting for one in here), default=0),
        }
        owned = await self._frame.read(request, USER_DEVICES, user=request.match_info["user"])
        tables = {
            "seen": owned.seen,
            "owned": Table.of(OWN_DEVICES, owned.devices, asked),
            "invitations": Table.of(INVITATIONS, owned.invitations, asked),
            "certificates": Table.of(DEVICE_CERTIFICATES, known.certificates, asked),
        }
        about = {"known": known, "user": known.account.user, "invites": bool(self._frame.view().invitation_host)}
        calls = in_words(known.calls)
        return "user.html", {**about, "calls": calls, "pools": self._pools, **shown, **tables}

    async def _registrations(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        devices = await self._frame.read(request, REGISTRATIONS.name)
        bindings = Table.of(DEVICES, devices.bindings, Wanted.of(request.path, request.query))
        return "registrations.html", {"devices": devices, "bindings": bindings}

    async def _audit(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        asked = Wanted.of(request.path, request.query)
        before = {"before": request.query["before"]} if "before" in request.query else {}
        given = {**typed(operation_of(AUDIT).given, before), "find": asked.find}
        audit = await self._frame.read(request, AUDIT, **given)
        count = len(audit.lines)
        lines = Table(LINES, audit.lines, count, count, replace(asked, page=1), count or 1)
        return "audit.html", {"audit": audit, "lines": lines}

    async def _search(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        text = Wanted.of(request.path, request.query).find
        found = await self._frame.read(request, SEARCH, find=text) if text else SearchReply((), (), ())
        return "search.html", {"text": text, "found": found}

    async def _audit_check(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "audit_check.html", {"check": await self._frame.read(request, AUDIT_CHECK)}


def _devices_of(here: Sequence[UserReply]) -> Iterator[tuple[UserReply, Sequence[BindingReply]]]:
    """Yield each server with the devices on its own links; the first one also with those on other machines.

    Each server of a pool knows all registrations of the pool.
    """
    known = {one.server for one in here}
    for place, one in enumerate(here):
        yield (
            one,
            [
                device
                for device in one.bindings
                if device.server == one.server or (not place and device.server not in known)
            ],
        )
