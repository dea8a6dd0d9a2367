"""Changes of users by name, each with its line in the audit log: the commands and the console make them here."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.routing.call_rules.call_rules import NO_RULES, GroupOrder
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.account_report import shown_name
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.call_rule_rows import set_call_rules
from sipmesh.storage.users.known_names import named_watcher
from sipmesh.storage.users.password_hashes import DEFAULT_ALGORITHMS
from sipmesh.storage.users.password_rule import must_be_a_password
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.home_pools import chosen_home, home_by_default, home_of_new_user
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.sip.digest import Algorithm
    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.users.user import User
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.model import Topology


NO_RULE: Final = "none"
PASSWORD_OCTETS: Final = 32
"""Of the password of a group, which no person learns."""


class Accounts:
    """The accounts in *users*, with the names of *topology*; *note* writes a line into the audit log.

    *must_lead* raises `OperatorError` on a host whose lines the audit log does not take: nothing is changed there.
    A user may be named without the domain if there is one domain only. Each method raises `OperatorError` as the method of
    `Users` does, and for a domain that the topology does not have. No user loses access without a line in the audit log: if it
    takes none, the command changes nothing, and can be given again.

    *end_devices* revokes what the devices of a user, an address without scheme, have of the CA, and says how many certificates
    these were. It does so before the database says that the user has left: a process that is killed between the two leaves a user
    without devices, and never devices without their user. *ended* counts the certificates. If the CA cannot be used, the
    user leaves all the same.
    """

    __slots__ = ("_end_devices", "_must_lead", "_note", "_topology", "_users", "ended")

    def __init__(
        self,
        users: Users,
        topology: Topology,
        note: Note,
        must_lead: Callable[[], object],
        end_devices: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._users, self._topology, self._note, self._must_lead = users, topology, note, must_lead
        self._end_devices, self.ended = end_devices, 0

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
        self._users.remove(aor, lambda: self._leaves(aor, "removed"))
        return aor

    def disable(self, user: str, at: datetime) -> str:
        """Keep a user from logging in from the instant *at* on; returns the full address."""
        aor = self._of_store(user)
        self._users.disable(aor, at, lambda: self._leaves(aor, "disabled"))
        return aor

    def _leaves(self, aor: str, what: str) -> None:
        self._note(AuditAct.USER, **{what: aor})
        with suppress(SipmeshError):  # the caller revokes again after the change, and raises the fault then
            self.ended += self._end_devices(aor.removeprefix("sip:"))

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

    def change_call_rules(self, user: str, asked: Mapping[str, object]) -> tuple[str, CallRules]:
        """Change the rules of a user's calls (`CallRuleEdit.change`); returns the full address, and the rules that count now."""
        aor = self._of_store(user)
        rules = CallRuleEdit(self._users, self._topology).change(aor, asked)
        self._note(AuditAct.RULES, user=aor, **_given(asked))
        return aor, rules

    def change_watcher(self, user: str, watcher: str, rule: str) -> tuple[str, str]:
        """Set a rule about who may see the presence of a user, or remove it; returns the address, and what has changed.

        Raises `OperatorError` for a *rule* that is none of `Watching`, and for a *watcher* in a domain of ours who is no user.
        """
        if rule not in (NO_RULE, *Watching):
            raise OperatorError(f"{rule!r} is no rule; use {', '.join(Watching)}, or {NO_RULE} to remove one")
        aor = self._of_store(user)
        if rule == NO_RULE:
            key = self._users.remove_watcher(
                aor, watcher, partial(named_watcher, topology=self._topology, is_new=False)
            )
            self._note(AuditAct.PRESENCE, user=aor, watcher=key, removed=True)
            return aor, f"without a rule for {shown_name(key)}"
        key = self._users.set_watcher(aor, watcher, Watching(rule), partial(named_watcher, topology=self._topology))
        self._note(AuditAct.PRESENCE, user=aor, watcher=key, rule=rule)
        return aor, f"seen by {shown_name(key)}: {rule}"

    def end_tokens(self, user: str, session: str, at: int) -> str:
        """End access tokens of a user (`Users.end_tokens`); returns the full address."""
        aor = self._of_store(user)
        self._users.end_tokens(aor, session, at)
        self._note(AuditAct.USER, logged_out=aor, by="the OpenID provider")
        return aor

    def add_group(self, group: str, asked: Mapping[str, object], pool: str = "") -> tuple[str, CallRules]:
        """Add a group, an account without devices; *asked* is as in `CallRuleEdit.change`.

        Returns the full address and the rules. A group that cannot have the rules is not added.
        """
        aor = self._to_change(group)
        home = home_of_new_user(self._topology, pool, aor)
        edit, wanted = CallRuleEdit(self._users, self._topology), {"order": GroupOrder.ALL, **asked}
        made = self._users.add(
            aor,
            secrets.token_urlsafe(PASSWORD_OCTETS),
            pool=home,
            then=lambda db, uri: edit.change_in(db, uri, wanted),
        )
        self._note(AuditAct.GROUP, added=made.aor[4:], **_given(asked))
        return made.aor[4:], self._users.get(made.aor).calls

    def change_group(self, group: str, asked: Mapping[str, object]) -> tuple[str, CallRules]:
        """Change a group (`CallRuleEdit.change`); returns the full address, and the rules that count now."""
        aor = self._of_group(group)
        rules = CallRuleEdit(self._users, self._topology).change(aor, asked)
        self._note(AuditAct.GROUP, group=aor, **_given(asked))
        return aor, rules

    def remove_group(self, group: str) -> str:
        """Remove a group; returns the full address."""
        aor = self._of_group(group)
        self._users.remove(aor, lambda: self._note(AuditAct.GROUP, removed=aor))
        return aor

    def _of_group(self, group: str) -> str:
        aor = self._of_store(group)
        self._users.group(aor)
        return aor

    def clear_call_rules(self, user: str) -> str:
        """Remove all rules of a user's calls; returns the full address. Raises `OperatorError` for a group."""
        aor = self._of_store(user)
        if self._users.get(aor).calls.is_group:
            raise OperatorError(f"{aor} is a group, which has rules; to remove it: sipmesh group remove {aor}")
        with self._users.changing(f"sip:{aor}") as (db, _):
            set_call_rules(db, f"sip:{aor}", NO_RULES)
        self._note(AuditAct.RULES, user=aor, removed=True)
        return aor

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


def _given(asked: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in asked.items() if value is not None}
