"""The operations that a user may do, on the own account alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sipmesh.errors import OperatorError
from sipmesh.server.admin.replies import USER
from sipmesh.server.console.access.operator import Operator
from sipmesh.server.console.operations import (
    DEVICE_PASSWORD,
    DEVICE_REVOKE,
    INVITATION_REVOKE,
    PRESENCE_CHANGE,
    RULES_CHANGE,
    RULES_CLEAR,
    USER_DEVICES,
    USER_INVITE,
    NotAllowedError,
    Operations,
)
from sipmesh.server.portal.portal_user import PortalUser
from sipmesh.storage.users.invitation import PORTAL_LINK

OWN: Final = frozenset(
    {
        USER.name,
        USER_DEVICES,
        USER_INVITE,
        INVITATION_REVOKE,
        DEVICE_PASSWORD,
        DEVICE_REVOKE,
        RULES_CHANGE,
        RULES_CLEAR,
        PRESENCE_CHANGE,
    }
)
HOURS: Final = 1
"""Hours for which the link of a user counts: the device is at hand."""

_FIXED: Final[Mapping[str, Mapping[str, object]]] = {USER_INVITE: {"hours": HOURS}}


class OwnOperations(Operations):
    """Runs the operations of `OWN`, for the user who has signed in: what a request names as the user is ignored."""

    async def read(self, name: str, operator: Operator, given: Mapping[str, object]) -> Any:
        """Run the operation *name* on the account of *operator*; raises `NotAllowedError` for any other operation."""
        if not isinstance(operator, PortalUser) or name not in OWN:
            raise NotAllowedError("this is no operation of the portal")
        if name == USER_INVITE and given.get("client") == PORTAL_LINK:
            raise NotAllowedError(
                "operators alone make links to the portal: a session would last as long as its user wants"
            )
        fixed = {**given, **_FIXED.get(name, {})}
        if name == INVITATION_REVOKE:
            await self._must_own(operator, str(given["id"]))
            return await super().read(name, operator, fixed)
        return await super().read(name, operator, {**fixed, "user": operator.user})

    async def _must_own(self, operator: PortalUser, invitation: str) -> None:
        """Raise `OperatorError` for the invitation of another user, as for an unknown invitation."""
        own = await super().read(USER_DEVICES, operator, {"user": operator.user})
        if invitation not in {one.id for one in own.invitations}:
            raise OperatorError(f"you have no open link {invitation}; reload the page of your account")
