"""The pages about users, their devices, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sipmesh.server.admin.replies import REGISTRATIONS, USER
from sipmesh.server.console.operations import AUDIT, AUDIT_CHECK, USERS, operation_of
from sipmesh.server.console.parameters import typed
from sipmesh.topology.home_pools import front_end_pools

if TYPE_CHECKING:
    from sipmesh.server.console.pages.frame import Frame, Show


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
            "/audit/check": self._audit_check,
        }

    @property
    def _pools(self) -> tuple[str, ...]:
        return front_end_pools(self._frame.view().loaded.topology)

    async def _users(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        wanted = {"after": request.query["after"]} if "after" in request.query else {}
        return "users.html", {"known": await self._frame.read(request, USERS, **wanted), "pools": self._pools}

    async def _user(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        known = await self._frame.read(request, USER.name, user=request.match_info["user"])
        return "user.html", {"known": known, "user": known.account.user, "pools": self._pools}

    async def _registrations(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "registrations.html", {"devices": await self._frame.read(request, REGISTRATIONS.name)}

    async def _audit(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        wanted = {"before": request.query["before"]} if "before" in request.query else {}
        given = typed(operation_of(AUDIT).given, wanted)
        return "audit.html", {"audit": await self._frame.read(request, AUDIT, **given)}

    async def _audit_check(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "audit_check.html", {"check": await self._frame.read(request, AUDIT_CHECK)}
