"""The operations on enrolment by EST and ACME: make a one-time token, list tokens and accounts, end one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sipmesh.server.console.commands import generations_in, noting
from sipmesh.server.console.operations import ENROL, ENROLMENT_WITHDRAW, ENROLMENTS
from sipmesh.server.control_socket import WHO
from sipmesh.server.enrolment.enrolment_status import EnrolmentStatus
from sipmesh.server.enrolment.token_report import TokenReport, checked_name, token_for
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.off_loop import off_loop
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.enrolment.end_enrolment import EndedEnrolment, withdraw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.server.control_socket import Command
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb


class EnrolmentCommands:
    """The operations on the tokens and accounts in *management_db*, for names of the topology of *node*."""

    def __init__(self, node: RunningServer, management_db: ManagementDb) -> None:
        self._node, self._management_db = node, management_db

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {ENROL: self._enrol, ENROLMENTS: self._enrolments, ENROLMENT_WITHDRAW: self._withdraw}

    async def _enrol(self, asked: Mapping[str, Any]) -> TokenReport:
        """Make a one-time token, and write the audit log; the token is in this reply only."""
        view, who = self._node.view, str(asked[WHO])
        server, lifetime = ascii_lower(str(asked["server"])), timedelta(hours=int(asked["hours"]))
        generations_in(view.loaded.folder / CA)
        name = await off_loop(checked_name, view, server, str(asked["user"]), str(asked["device"]))
        note, at = noting(self._management_db, who), datetime.now(UTC)
        return await off_loop(token_for, view, self._management_db, name, who, at, lifetime, note)

    async def _enrolments(self, _asked: Mapping[str, Any]) -> EnrolmentStatus:
        return await off_loop(EnrolmentStatus.read, self._management_db, datetime.now(UTC))

    async def _withdraw(self, asked: Mapping[str, Any]) -> EndedEnrolment:
        note = noting(self._management_db, str(asked[WHO]))
        return await off_loop(withdraw, self._management_db, str(asked["id"]), datetime.now(UTC), note)
