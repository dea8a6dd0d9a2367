"""The operations on invitations and devices: the console changes them by the same functions as the commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.admin.last_logins import last_logins
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USER, USERS_CHANGED
from sipmesh.server.console.access.account import opened
from sipmesh.server.console.commands import noting
from sipmesh.server.console.operations import (
    DEVICE_PASSWORD,
    DEVICE_REVOKE,
    INVITATION_REVOKE,
    USER_DEVICES,
    USER_INVITE,
    USERS_INVITE,
)
from sipmesh.server.console.replies import DevicePasswordReply, LettersReply, UserChangeReply, UserDevicesReply
from sipmesh.server.console.user_commands import IN_FORCE_S
from sipmesh.server.control_socket import STATE, WHO, Command
from sipmesh.server.management.device_certificates import revoke_devices
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.provisioning.invitation_table import Row, links_table, rows_of, wish_of
from sipmesh.server.provisioning.letter import Letter, letter_of, must_have_pages
from sipmesh.storage.enrolment.end_enrolment import end_enrolment
from sipmesh.storage.users.device_accounts import DeviceAccounts
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.invitations import Invitations
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipmesh.server.management.replies import UsersInForce
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.storage.users.invitations import Taken
    from sipmesh.topology.document.load import Loaded


class DeviceCommands:
    """The operations on the devices of *node*'s users; *management_db* and *in_force* are those of `UserCommands`."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, in_force: Command) -> None:
        self._node, self._management_db, self._in_force = node, management_db, in_force

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {
            USER_DEVICES: self._devices,
            USER_INVITE: self._invite,
            USERS_INVITE: self._invite_all,
            INVITATION_REVOKE: self._revoke_invitation,
            DEVICE_PASSWORD: self._give_password,
            DEVICE_REVOKE: self._revoke_device,
        }

    async def _devices(self, asked: Mapping[str, Any]) -> UserDevicesReply:
        loaded, at = self._node.view.loaded, datetime.now(UTC)
        user = full_address(str(asked["user"]), loaded.topology)
        devices, invitations = await self._with(
            asked, lambda accounts: (accounts.devices(user), accounts.open_ones(user, at))
        )
        answers = await ask_running(loaded.folder / STATE, USER, {"user": f"sip:{user}"})
        seen = last_logins(answer.reply for answer in answers if answer.reply is not None)
        return UserDevicesReply(devices, invitations, seen)

    async def _give_password(self, asked: Mapping[str, Any]) -> DevicePasswordReply:
        """Give a new device a password, which only the reply has, and wait until the front ends know it."""
        device, at = str(asked["device"]), datetime.now(UTC)
        made: Taken = await self._with(asked, lambda accounts: accounts.give_password(str(asked["user"]), device, at))
        held, _ = await self._users_changed()
        user = made.device.aor.removeprefix("sip:")
        return DevicePasswordReply(user, device, made.login, made.password, held.missing, held.servers)

    async def _users_changed(self) -> tuple[UsersInForce, int]:
        """Wait until the front ends have the users; also returns how many links the servers of this machine have closed."""
        answers = await ask_running(self._node.view.loaded.folder / STATE, USERS_CHANGED, {})
        closed = sum(answer.reply.closed for answer in answers if answer.reply is not None)
        held: UsersInForce = await self._in_force({"wait_s": IN_FORCE_S})
        return held, closed

    async def _invite(self, asked: Mapping[str, Any]) -> Letter:
        """Invite a device. The reply has the link, which is shown once."""
        must_have_pages(self._node.view)
        lifetime = timedelta(hours=int(asked["hours"]))
        keys = ("device", "client", "mac", "network", "remote", "certificate")
        made, token = await self._with(
            asked,
            lambda accounts: accounts.invite(
                str(asked["user"]), datetime.now(UTC), lifetime, **{key: asked[key] for key in keys}
            ),
        )
        return letter_of(self._node.view, made, token)

    async def _invite_all(self, asked: Mapping[str, Any]) -> LettersReply:
        """Invite a device for each row of a table. After a row that is refused, those before it are worth nothing."""
        must_have_pages(self._node.view)
        rows, lifetime = list(rows_of(str(asked["table"]), "the table")), timedelta(hours=int(asked["hours"]))
        letters: list[Letter] = await self._with(asked, lambda accounts: self._letters(accounts, rows, lifetime))
        return LettersReply(len(letters), links_table(letters))

    def _letters(self, accounts: DeviceAccounts, rows: Sequence[Row], lifetime: timedelta) -> list[Letter]:
        made, at = list[tuple[Invitation, str]](), datetime.now(UTC)
        for number, row in enumerate(rows, 1):
            try:
                made.append(accounts.invite(row["user"], at, lifetime, **wish_of(row)))
            except OperatorError as wrong:
                for invitation, _ in made:
                    accounts.revoke(invitation.id)
                raise OperatorError(f"no device is invited: row {number}: {wrong}") from None
        return [letter_of(self._node.view, invitation, token) for invitation, token in made]

    async def _revoke_invitation(self, asked: Mapping[str, Any]) -> UserChangeReply:
        revoked = await self._with(asked, lambda accounts: accounts.revoke(str(asked["id"])))
        return UserChangeReply(revoked.aor.removeprefix("sip:"), f"without the invitation {revoked.id}", 0)

    async def _revoke_device(self, asked: Mapping[str, Any]) -> UserChangeReply:
        """Revoke the password or the certificates of a device, and wait until the front ends have closed its links."""
        loaded = self._node.view.loaded
        user, device = full_address(str(asked["user"]), loaded.topology), str(asked["device"])
        await self._with(asked, lambda accounts: accounts.revoke_device(user, device))
        await off_loop(self._revoke_certificates, loaded, user, device, str(asked[WHO]))
        held, closed = await self._users_changed()
        return UserChangeReply(user, f"without the device {device}", closed, held.missing, held.servers)

    def _revoke_certificates(self, loaded: Loaded, user: str, device: str, who: str) -> None:
        if CaGenerations.are_in(loaded.folder / CA):
            at, note = datetime.now(UTC), noting(self._management_db, who)
            try:
                end_enrolment(self._management_db, user, at, note, device)
            finally:  # the certificates are revoked also if the tokens cannot be withdrawn
                generations, reason = CaGenerations(loaded.folder / CA), Reason.CESSATION_OF_OPERATION
                revoke_devices(generations, (user,), reason, at, note, device)

    async def _with(self, asked: Mapping[str, Any], work: Callable[[DeviceAccounts], Any]) -> Any:
        """Do *work* in a thread; each change is a line of the operator in the audit log."""
        loaded = self._node.view.loaded
        note, must_lead = noting(self._management_db, str(asked[WHO])), self._management_db.lease.must_lead

        def worked() -> Any:
            with opened(loaded) as users:
                return work(DeviceAccounts(Invitations(users), loaded.topology, note, must_lead))

        return await off_loop(worked)
