"""Changes of users by name, each with its line in the audit log: the commands and the console make them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS
from sipmesh.storage.users.password_rule import must_be_a_password
from sipmesh.topology.home_pools import chosen_home, home_by_default, home_of_new_user
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.users.user import User
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.model import Topology


class Accounts:
    """The accounts in *users*, with the names of *topology*; *note* writes a line into the audit log.

    *must_lead* raises `OperatorError` on a host whose lines the audit log does not take: nothing is changed there.
    A user may be named without the domain if there is one domain only. Each method raises `OperatorError` as the method of
    `Users` does, and for a domain that the topology does not have.
    """

    __slots__ = ("_must_lead", "_note", "_topology", "_users")

    def __init__(self, users: Users, topology: Topology, note: Note, must_lead: Callable[[], object]) -> None:
        self._users, self._topology, self._note, self._must_lead = users, topology, note, must_lead

    def add(self, user: str, password: str, algorithms: Sequence[Algorithm] = (), pool: str = "") -> User:
        """Add a user; without *algorithms* the user gets all. *pool* is needed if there is a choice of home pools."""
        aor = self._to_change(user)
        home = home_of_new_user(self._topology, pool, aor)
        must_be_a_password(password, aor)
        made = self._users.add(aor, password, algorithms or DEFAULT_ALGORITHMS, pool=home)
        self._note(AuditAct.USER, added=aor)
        return made

    def set_password(self, user: str, password: str, algorithms: Sequence[Algorithm] = ()) -> User:
        """Change a password; without *algorithms* the user keeps the present algorithms."""
        aor = self._of_store(user)
        must_be_a_password(password, aor)
        changed = self._users.set_password(aor, password, algorithms or None)
        self._note(AuditAct.USER, password=aor)
        return changed

    def move(self, user: str, pool: str) -> tuple[User, str]:
        """Give a user another home pool; returns the user and the home pool before. Raises `OperatorError` for the same pool."""
        aor, home = self._of_store(user), chosen_home(self._topology, pool)
        before = self._users.get(aor).pool or home_by_default(self._topology)
        if before == home:
            raise OperatorError(f"{aor} has the home pool {home} already")
        moved = self._users.move(aor, home)
        self._note(AuditAct.USER, moved=aor, before=before, to=home)
        return moved, before

    def remove(self, user: str) -> str:
        """Remove a user with all aliases; returns the full address."""
        aor = self._of_store(user)
        self._users.remove(aor)
        self._note(AuditAct.USER, removed=aor)
        return aor

    def disable(self, user: str, at: datetime) -> str:
        """Keep a user from logging in from the instant *at* on; returns the full address."""
        aor = self._of_store(user)
        self._users.disable(aor, at)
        self._note(AuditAct.USER, disabled=aor)
        return aor

    def enable(self, user: str) -> str:
        """Let a disabled user log in again; returns the full address."""
        aor = self._of_store(user)
        self._users.enable(aor)
        self._note(AuditAct.USER, enabled=aor)
        return aor

    def add_alias(self, user: str, alias: str) -> tuple[str, str]:
        """Give a user an alias; returns the full address and the key of the alias."""
        aor = self._of_store(user)
        self._must_have_domain_of(alias)
        key = self._users.add_alias(aor, alias)
        self._note(AuditAct.ALIAS, user=aor, added=key)
        return aor, key

    def remove_alias(self, user: str, alias: str) -> tuple[str, str]:
        """Take an alias from a user; returns the full address and the key of the alias."""
        aor = self._of_store(user)
        key = self._users.remove_alias(aor, alias)
        self._note(AuditAct.ALIAS, user=aor, removed=key)
        return aor, key

    def _to_change(self, user: str) -> str:
        """Return the full address of a user who may be changed on this host."""
        self._must_lead()
        return full_address(user, self._topology)

    def _of_store(self, user: str) -> str:
        """Return the full address of a user who may be changed, as the store has it: certificates and tokens have that one."""
        return self._users.known_address(self._to_change(user)).aor.removeprefix("sip:")

    def _must_have_domain_of(self, alias: str) -> None:
        """Raise `OperatorError` for a SIP name in a domain that the topology does not have."""
        if "@" in alias:
            scheme = "sip:" if alias.lower().startswith("sip:") else ""
            full_address(alias[len(scheme) :].partition(";")[0].partition("?")[0], self._topology)
