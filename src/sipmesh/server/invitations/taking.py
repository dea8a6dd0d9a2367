"""How a device takes an invitation: the change of the user database, its line in the audit log, and the servers that follow."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USERS_CHANGED
from sipmesh.server.console.access.account import opened
from sipmesh.server.console.commands import generations_in, noting
from sipmesh.server.console.user_commands import IN_FORCE_S
from sipmesh.server.control_socket import STATE, Command
from sipmesh.server.management.device_certificates import DeviceIssuing
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.provisioning.profile import Reach, profile_of, reach_of
from sipmesh.storage.users.device_accounts import DeviceAccounts
from sipmesh.storage.users.invitations import Invitations
from sipmesh.topology.home_pools import home_by_default

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.issued import IssuedToPerson
    from sipmesh.server.provisioning.profile import Profile
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.storage.users.device import Device
    from sipmesh.storage.users.invitation import Invitation
    from sipmesh.storage.users.invitations import Taken
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded

T = TypeVar("T")


class Taking:
    """Lets devices take invitations of the users of *node*'s network; *in_force* waits for the front ends (`USERS_IN_FORCE`)."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, in_force: Command) -> None:
        self._node, self._management_db, self._in_force = node, management_db, in_force

    async def look(self, secret: str, address: str) -> Invitation:
        """Return the open invitation of *secret*, and change nothing; raises `NotOpenError`."""
        return await self._in_thread(lambda invitations: invitations.look(secret, address, datetime.now(UTC)))

    async def exchange(self, token: str, client: str, address: str) -> str:
        """Exchange the token of an invitation for a ticket; raises `NotOpenError`."""

        def work(invitations: Invitations) -> str:
            return self._accounts(invitations, address).exchange(token, client, address, datetime.now(UTC))[1]

        return await self._in_thread(work)

    async def sign_in(self, token: str, address: str) -> str:
        """Use up the token of a link to the portal, and return its user; raises `NotOpenError`."""

        def work(invitations: Invitations) -> str:
            found = self._accounts(invitations, address, "browser").sign_in(token, address, datetime.now(UTC))
            return found.aor.removeprefix("sip:")

        return await self._in_thread(work)

    async def take(self, secret: str, client: str, address: str) -> Profile:
        """Take the invitation of *secret*, and return what the device has to know. The front ends know its password then.

        Raises `NotOpenError`, and `OperatorError` if the device could not be added.
        """
        loaded = self._node.view.loaded

        def work(users: Users) -> tuple[Taken, str | None, bool]:
            invitations, at = Invitations(users), datetime.now(UTC)
            remote = invitations.look(secret, address, at).remote
            certify = partial(self._certified, users, address, at)
            taken = self._accounts(invitations, address).take(secret, client, address, at, certify)
            return taken, users.get(taken.device.aor).pool, remote

        taken, pool, remote = await off_loop(_with_users, loaded, work)
        await ask_running(loaded.folder / STATE, USERS_CHANGED, {})
        await self._in_force({"wait_s": IN_FORCE_S})
        return profile_of(loaded, taken, pool, remote=remote)

    async def reach_of(self, invitation: Invitation) -> Reach:
        """Return where the device of an *invitation* connects; raises `OperatorError` if there is no server for it."""
        loaded = self._node.view.loaded
        user = await off_loop(_with_users, loaded, lambda users: users.get(invitation.aor))
        return reach_of(loaded.topology, user.pool or home_by_default(loaded.topology), remote=invitation.remote)

    def _certified(self, users: Users, address: str, at: datetime, device: Device) -> IssuedToPerson:
        """Issue the certificate of a device that takes an invitation; raises `OperatorError`."""
        loaded = self._node.view.loaded
        ca, note = generations_in(loaded.folder / CA).current, noting(self._management_db, f"device at {address}")
        issuing = DeviceIssuing(ca, users, loaded.topology, note)
        return issuing.issue(device.aor.removeprefix("sip:"), device.name, at)

    def _accounts(self, invitations: Invitations, address: str, what: str = "device") -> DeviceAccounts:
        note = noting(self._management_db, f"{what} at {address}")
        return DeviceAccounts(invitations, self._node.view.loaded.topology, note, self._management_db.lease.must_lead)

    async def _in_thread(self, work: Callable[[Invitations], T]) -> T:
        return await off_loop(_with_users, self._node.view.loaded, lambda users: work(Invitations(users)))


def _with_users(loaded: Loaded, work: Callable[[Users], T]) -> T:
    with opened(loaded) as users:
        return work(users)
