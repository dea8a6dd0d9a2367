"""The operations of the portal: which of them there are, and on whose account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.console.access.operator import Operator
from sipmesh.server.console.operations import (
    DEVICE_REVOKE,
    INVITATION_REVOKE,
    TABLE,
    USER_DEVICES,
    USER_INVITE,
    NotAllowedError,
)
from sipmesh.server.control_socket import WHO
from sipmesh.server.portal.own_operations import HOURS, OWN, OwnOperations
from sipmesh.server.portal.portal_user import PortalUser
from sipmesh.topology.document.operators.console_role import ConsoleRole
from support.running import on_loop

ALICE = PortalUser.of("alice@example.test")


@dataclass
class Known:
    """What the operation about devices returns."""

    invitations: list[Any]


@dataclass
class Open:
    """An invitation."""

    id: str


class Asked:
    """The operations, which note what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        commands = {one.name: self._noting(one.name) for one in TABLE}
        self.operations = OwnOperations(commands)

    def _noting(self, name: str) -> Any:
        async def asked(given: Mapping[str, Any]) -> Any:
            self.asked.append((name, given))
            return Known([Open("mine")])

        return asked


@pytest.mark.parametrize("name", sorted(one.name for one in TABLE if one.name not in OWN))
@on_loop
async def test_other_operations_are_refused(name: str) -> None:
    made = Asked()
    with pytest.raises(NotAllowedError):
        await made.operations.read(name, ALICE, {})
    assert made.asked == []


@pytest.mark.parametrize("role", list(ConsoleRole))
@on_loop
async def test_operator_is_no_user(role: ConsoleRole) -> None:
    made = Asked()
    with pytest.raises(NotAllowedError):
        await made.operations.read(USER_DEVICES, Operator("otto", role), {"user": "alice"})
    assert made.asked == []


@on_loop
async def test_user_of_the_session_takes_the_place_of_any_other() -> None:
    made = Asked()
    await made.operations.read(DEVICE_REVOKE, ALICE, {"user": "bob", "device": "desk"})
    await made.operations.read(USER_INVITE, ALICE, {"user": "bob", "hours": 700})
    assert [(given["user"], given[WHO]) for _, given in made.asked] == [("alice@example.test", ALICE.who)] * 2
    assert made.asked[1][1]["hours"] == HOURS


@on_loop
async def test_invitation_is_withdrawn_by_its_user_alone() -> None:
    made = Asked()
    with pytest.raises(OperatorError, match="no open link"):
        await made.operations.read(INVITATION_REVOKE, ALICE, {"id": "another"})
    await made.operations.read(INVITATION_REVOKE, ALICE, {"id": "mine"})
    assert [name for name, _ in made.asked] == [USER_DEVICES, USER_DEVICES, INVITATION_REVOKE]
