"""The operations on users: the console changes them by the same functions as the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USER, USERS_CHANGED
from sipmesh.server.console.access.account import opened
from sipmesh.server.console.commands import noting
from sipmesh.server.console.operations import (
    ALIAS_ADD,
    ALIAS_REMOVE,
    GROUP_ADD,
    GROUP_CHANGE,
    GROUP_REMOVE,
    PRESENCE_CHANGE,
    RULES_CHANGE,
    RULES_CLEAR,
    USER_ADD,
    USER_DISABLE,
    USER_ENABLE,
    USER_MOVE,
    USER_PASSWORD,
    USER_REMOVE,
    USERS,
)
from sipmesh.server.console.replies import UserChangeReply, UserDetailReply, UserListReply
from sipmesh.server.control_socket import STATE, WHO, Command
from sipmesh.server.management.device_certificates import DeviceCertificate, device_certificates, revoke_devices
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.enrolment.end_enrolment import end_enrolment
from sipmesh.storage.users.account_report import AccountReport, shown_name
from sipmesh.storage.users.accounts import Accounts
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_list import UserSort, UsersWanted
from sipmesh.topology.home_pools import home_by_default
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from sipmesh.server.management.replies import UsersInForce
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.storage.users.directory_entry import DirectoryLink
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.watching import Watching

IN_FORCE_S: Final = 5.0
"""Seconds in which front ends put a change in force."""

RULES: Final = frozenset(
    {"always", "busy", "no_answer", "away", "ring_s", "also", "delegates", "do_not_disturb", "unlisted", "callers"}
)
"""The parameters that change rules of calls."""

OF_GROUP: Final = frozenset({"order", "add", "leave", "ring_s", "member_s", "overflow"})
"""The parameters that change a group."""

MOST_USERS: Final = 200
"""Users in one reply."""

Change = Callable[[Accounts, Mapping[str, Any]], str]
"""Changes a user as asked, and returns what has changed, in words."""


class UserCommands:
    """The operations on the users of *node*'s network; each change is a line in the audit log of *management_db*.

    *in_force* waits until the front ends have the changes (`USERS_IN_FORCE`).
    """

    def __init__(self, node: RunningServer, management_db: ManagementDb, in_force: Command) -> None:
        self._node, self._management_db, self._in_force = node, management_db, in_force

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        changes = {name: self._changing(change) for name, change in CHANGES.items()}
        return {USERS: self._users, USER.name: self._user, **changes}

    async def _users(self, asked: Mapping[str, Any]) -> UserListReply:
        return await off_loop(_read_users, self._node.view.loaded, asked)

    async def _user(self, asked: Mapping[str, Any]) -> UserDetailReply:
        """Return the account, and what every server of this machine knows of the user."""
        loaded = self._node.view.loaded
        account, rules, calls, link = await off_loop(_read_user, loaded, str(asked["user"]))
        certificates = await off_loop(_certificates_of, loaded, account.user)
        answers = await ask_running(loaded.folder / STATE, USER, {"user": f"sip:{account.user}"})
        servers = [answer.reply for answer in answers if answer.reply is not None]
        faults = [f"{answer.server}: {answer.fault}" for answer in answers if answer.fault]
        return UserDetailReply(account, servers, faults, rules, certificates, calls, link)

    def _changing(self, change: Change) -> Command:
        async def changed(asked: Mapping[str, Any]) -> UserChangeReply:
            loaded = self._node.view.loaded
            what = await off_loop(self._change, loaded, change, asked)
            answers = await ask_running(loaded.folder / STATE, USERS_CHANGED, {})
            closed = sum(answer.reply.closed for answer in answers if answer.reply is not None)
            user = full_address(str(asked["user"]), loaded.topology)
            held: UsersInForce = await self._in_force({"wait_s": IN_FORCE_S})
            return UserChangeReply(user, what, closed, held.missing, held.servers)

        return changed

    def _change(self, loaded: Loaded, change: Change, asked: Mapping[str, Any]) -> str:
        """Change one user; only the leader of a management pool may, since the change is a line in the audit log."""
        note, must_lead = noting(self._management_db, str(asked[WHO])), self._management_db.lease.must_lead

        def end_devices(user: str) -> int:
            if not CaGenerations.are_in(loaded.folder / CA):
                return 0
            at, reason = datetime.now(UTC), Reason.CESSATION_OF_OPERATION
            try:
                end_enrolment(self._management_db, user, at, note)
            finally:  # the certificates are revoked also if the tokens cannot be withdrawn
                revoked = revoke_devices(CaGenerations(loaded.folder / CA), (user,), reason, at, note)
            return len(revoked)

        with opened(loaded) as users:
            user = users.known_address(full_address(str(asked["user"]), loaded.topology)).aor.removeprefix("sip:")
            accounts = Accounts(users, loaded.topology, note, must_lead, end_devices)
            what = change(accounts, asked)
        ended = accounts.ended
        if change in _ENDS_LOGINS:
            ended += end_devices(user)  # what was issued in the same instant
        return f"{what}, and {ended} of the user's devices revoked" if ended else what


def _add(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    made = accounts.add(str(asked["user"]), str(asked["password"]), pool=str(asked["pool"]))
    return f"added, with digest {' or '.join(made.algorithms)}"


def _set_password(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.set_password(str(asked["user"]), str(asked["password"]))
    return "given a new password"


def _move(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    moved, before = accounts.move(str(asked["user"]), str(asked["pool"]))
    return f"moved from {before} to {moved.pool}"


def _remove(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.remove(str(asked["user"]))
    return "removed"


def _disable(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.disable(str(asked["user"]), datetime.now(UTC))
    return "disabled"


def _enable(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.enable(str(asked["user"]))
    return "enabled"


def _add_alias(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    return f"given the alias {accounts.add_alias(str(asked['user']), str(asked['alias']))[1]}"


def _remove_alias(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    return f"without the alias {accounts.remove_alias(str(asked['user']), str(asked['alias']))[1]}"


def _change_rules(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    about = {name: value for name, value in asked.items() if name in RULES and value is not None}
    rules = accounts.change_call_rules(str(asked["user"]), about)[1]
    return f"given rules of calls: {', '.join(rules.as_json()) or 'none'}"


def _clear_rules(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.clear_call_rules(str(asked["user"]))
    return "left without rules of calls"


def _add_group(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    rules = accounts.add_group(str(asked["user"]), _of_group(asked), str(asked["pool"]))[1]
    return f"added, with {len(rules.members)} members"


def _change_group(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    rules = accounts.change_group(str(asked["user"]), _of_group(asked))[1]
    return f"changed, with {len(rules.members)} members"


def _remove_group(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.remove_group(str(asked["user"]))
    return "removed"


def _of_group(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in asked.items() if name in OF_GROUP and value is not None}


def _end_tokens(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    accounts.end_tokens(str(asked["user"]), str(asked["session"]), int(asked["at"]))
    return "logged out at the OpenID provider"


def _change_presence(accounts: Accounts, asked: Mapping[str, Any]) -> str:
    return accounts.change_watcher(str(asked["user"]), str(asked["watcher"]), str(asked["rule"]))[1]


TOKENS_END: Final = "tokens-end"
"""Ends access tokens of a user: the provider tells of a logout, and no operator does."""

CHANGES: Final[Mapping[str, Change]] = {
    TOKENS_END: _end_tokens,
    PRESENCE_CHANGE: _change_presence,
    USER_ADD: _add,
    USER_PASSWORD: _set_password,
    USER_MOVE: _move,
    USER_REMOVE: _remove,
    USER_DISABLE: _disable,
    USER_ENABLE: _enable,
    ALIAS_ADD: _add_alias,
    ALIAS_REMOVE: _remove_alias,
    RULES_CHANGE: _change_rules,
    RULES_CLEAR: _clear_rules,
    GROUP_ADD: _add_group,
    GROUP_CHANGE: _change_group,
    GROUP_REMOVE: _remove_group,
}


_ENDS_LOGINS: Final = frozenset({_remove, _disable})


def _read_users(loaded: Loaded, asked: Mapping[str, Any]) -> UserListReply:
    after, skip = f"sip:{asked['after']}", (int(asked["page"]) - 1) * MOST_USERS
    order = (UserSort(asked["sort"]), bool(asked["descending"]))
    with opened(loaded) as users:
        page = users.page(UsersWanted(MOST_USERS + 1, after, str(asked["find"]), *order, skip))
    default = home_by_default(loaded.topology)
    entries = [AccountReport.of(user, default) for user in page.users[:MOST_USERS]]
    return UserListReply(entries, page.total, entries[-1].user if len(page.users) > MOST_USERS else None, page.found)


def _read_user(
    loaded: Loaded, name: str
) -> tuple[AccountReport, Mapping[str, Watching], Mapping[str, object], DirectoryLink | None]:
    with opened(loaded) as users:
        user = users.get(full_address(name, loaded.topology))
        link = DirectoryLinks(users).link_of(user.aor)
    rules = {shown_name(watcher): rule for watcher, rule in user.watchers.items()}
    return AccountReport.of(user, home_by_default(loaded.topology)), rules, user.calls.as_json(), link


def _certificates_of(loaded: Loaded, user: str) -> Sequence[DeviceCertificate]:
    """Return the certificates of the devices of a user; none where there is no CA on this host."""
    folder = loaded.folder / CA
    return device_certificates(CaGenerations(folder), user, datetime.now(UTC)) if CaGenerations.are_in(folder) else ()
