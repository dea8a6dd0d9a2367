"""The account of the person behind a session of a browser, and whether it is still what it was at the log-in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.call_rule_rows import call_rules_in
from sipmesh.storage.users.user_database import Users as UserDatabase
from sipmesh.storage.users.user_rows import disabled_since, row_of, user_like

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology


@dataclass(frozen=True, slots=True)
class Account:
    """An account at one instant: *user* is the address without scheme, and *created* when it was added.

    *generation* is another one after each change that logs the phones of the user out: if the user is disabled, enabled, moved or
    renamed, or gets another password.
    """

    user: str
    created: datetime
    generation: int


@contextmanager
def opened(loaded: Loaded) -> Iterator[UserDatabase]:
    """Open the user database of the topology in force."""
    users = UserDatabase(loaded.users_url, in_memory=False, seen=SeenUsers(loaded.folder))
    try:
        yield users
    finally:
        users.close()


def accounts_of(loaded: Loaded, users: Collection[str]) -> Mapping[str, Account | None]:
    """Return the accounts of *users* who may log in, by what was asked for; None for the others who have an account.

    Who has no account is not in the result. Raises `OperatorError` if the database cannot be asked.
    """
    found = dict[str, Account | None]()
    with opened(loaded) as database, database.reading() as db:
        for user in users:
            if not (aor := user_like(db, f"sip:{user}")):
                continue
            row = row_of(db, aor)
            stands = disabled_since(db, aor) is None and not call_rules_in(row).is_group
            found[user] = Account(aor.removeprefix("sip:"), row["created"], row["generation"]) if stands else None
    return found


async def account_at_log_in(loaded: Loaded, user: str) -> Account | None:
    """Return the account of an operator who logs in, and who is the user *user*; None for an operator who is no user here.

    Raises `OperatorError` for a user who is disabled, and if the database cannot be asked: it is not known then.
    """
    if not user:
        return None
    found = await off_loop(accounts_of, loaded, [user])
    account = found.get(user)
    if user in found and account is None:
        raise OperatorError(f"{user} is disabled here, or a group, and has left for the console too")
    return account


def user_of_principal(topology: Topology, principal: str) -> str:
    """Return which user a person of Kerberos is, "" if it cannot be told.

    The portal says it of its realm. Without a portal, the names of a realm are those of the one SIP domain.
    """
    pages, (name, _, realm) = topology.invitations, principal.rpartition("@")
    portal = pages.portal.kerberos if pages is not None and pages.portal is not None else None
    if portal is not None and portal.realm == realm:
        return portal.user_of(principal) or ""
    return f"{name}@{topology.sip_domains[0]}" if len(topology.sip_domains) == 1 else ""
