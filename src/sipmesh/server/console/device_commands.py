"""The operations on invitations and devices: the console changes them by the same functions as the commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USERS_CHANGED
from sipmesh.server.console.commands import noting
from sipmesh.server.console.operations import DEVICE_REVOKE, INVITATION_REVOKE, USER_DEVICES, USER_INVITE
from sipmesh.server.console.replies import UserChangeReply, UserDevicesReply
from sipmesh.server.console.user_commands import IN_FORCE_S, opened
from sipmesh.server.control_socket import STATE, WHO, Command
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.provisioning.letter import Letter, letter_of, must_have_pages
from sipmesh.storage.users.device_accounts import DeviceAccounts
from sipmesh.storage.users.invitations import Invitations
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.server.management.replies import UsersInForce
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb


class DeviceCommands:
    """The operations on the devices of *node*'s users; *management_db* and *in_force* are those of `UserCommands`."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, in_force: Command) -> None:
        self._node, self._management_db, self._in_force = node, management_db, in_force

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {
            USER_DEVICES: self._devices,
            USER_INVITE: self._invite,
            INVITATION_REVOKE: self._revoke_invitation,
            DEVICE_REVOKE: self._revoke_device,
        }

    async def _devices(self, asked: Mapping[str, Any]) -> UserDevicesReply:
        user, at = str(asked["user"]), datetime.now(UTC)
        found: UserDevicesReply = await self._with(
            asked, lambda accounts: UserDevicesReply(accounts.devices(user), accounts.open_ones(user, at))
        )
        return found

    async def _invite(self, asked: Mapping[str, Any]) -> Letter:
        """Invite a device. The reply has the link, which is shown once."""
        must_have_pages(self._node.view)
        lifetime = timedelta(hours=int(asked["hours"]))
        keys = ("device", "client", "mac", "network", "remote")
        made, token = await self._with(
            asked,
            lambda accounts: accounts.invite(
                str(asked["user"]), datetime.now(UTC), lifetime, **{key: asked[key] for key in keys}
            ),
        )
        return letter_of(self._node.view, made, token)

    async def _revoke_invitation(self, asked: Mapping[str, Any]) -> UserChangeReply:
        revoked = await self._with(asked, lambda accounts: accounts.revoke(str(asked["id"])))
        return UserChangeReply(revoked.aor.removeprefix("sip:"), f"without the invitation {revoked.id}", 0)

    async def _revoke_device(self, asked: Mapping[str, Any]) -> UserChangeReply:
        """Revoke the password of a device, and wait until the front ends have closed its links."""
        loaded = self._node.view.loaded
        user, device = full_address(str(asked["user"]), loaded.topology), str(asked["device"])
        await self._with(asked, lambda accounts: accounts.revoke_device(user, device))
        answers = await ask_running(loaded.folder / STATE, USERS_CHANGED, {})
        closed = sum(answer.reply.closed for answer in answers if answer.reply is not None)
        held: UsersInForce = await self._in_force({"wait_s": IN_FORCE_S})
        return UserChangeReply(user, f"without the device {device}", closed, held.missing, held.servers)

    async def _with(self, asked: Mapping[str, Any], work: Callable[[DeviceAccounts], Any]) -> Any:
        """Do *work* in a thread; each change is a line of the operator in the audit log."""
        loaded = self._node.view.loaded
        note, must_lead = noting(self._management_db, str(asked[WHO])), self._management_db.lease.must_lead

        def worked() -> Any:
            with opened(loaded) as users:
                return work(DeviceAccounts(Invitations(users), loaded.topology, note, must_lead))

        return await off_loop(worked)
