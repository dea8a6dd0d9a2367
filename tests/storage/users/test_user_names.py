"""A renamed user keeps all that names the user, and a later user of a name that was given up gets nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sql

from sipmesh.routing.call_rules.call_rules import CallerRule, CallRules, GroupOrder
from sipmesh.storage.users import (
    contact_tables,
    device_tables,
    directory_tables,
    ended_ticket_tables,
    logout_tables,
    scim_tables,
)
from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.call_rule_rows import set_call_rules
from sipmesh.storage.users.contact import made_contact
from sipmesh.storage.users.contact_rows import contacts_of, put_contact
from sipmesh.storage.users.directory_entry import DirectoryLink
from sipmesh.storage.users.directory_rows import put_links
from sipmesh.storage.users.logout_rows import logouts_in
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_names import rename_user
from sipmesh.topology.document.watching import Watching

ALICE, BOB, ROBERT = "sip:alice@example.test", "sip:bob@example.test", "sip:robert@example.test"
GROUP = "sip:sales@example.test"
AT = datetime(2026, 12, 1, tzinfo=UTC)
OF_ALICE = CallRules(
    always=BOB,
    busy=BOB,
    no_answer=BOB,
    away=BOB,
    also=(BOB, "tel:+49301"),
    callers={BOB: CallerRule.ALLOW, "@partner.test": CallerRule.BLOCK},
    delegates=(BOB,),
)
OF_GROUP = CallRules(order=GroupOrder.ALL, members=(ALICE, BOB))
ALL_TABLES = (
    tables,
    contact_tables,
    device_tables,
    directory_tables,
    ended_ticket_tables,
    logout_tables,
    scim_tables,
)
NOT_NAMED = {
    "users_version",
    "users_changes",
    "users_backups",
    "users_scim",
    "users_scim_members",
    "users_classes",
    "ended_tickets",
}
"""The tables of which no row names a user by the address: *changes* is the history, SCIM counts by ids, tickets by hashes."""


def with_bob(users: Users) -> None:
    """Have bob in each table, with what he has and what others say about him."""
    for aor in (ALICE, BOB, GROUP):
        users.add(aor, "secret-one")
    users.set_watcher(ALICE, BOB, Watching.ALLOW)
    users.set_watcher(BOB, ALICE, Watching.BLOCK)
    users.add_alias(BOB, "chief")
    users.end_tokens(BOB, "", 7)
    users.disable(BOB, AT)
    with users.changing(ALICE, GROUP) as (db, _):
        set_call_rules(db, ALICE, OF_ALICE)
        set_call_rules(db, GROUP, OF_GROUP)
        put_contact(db, BOB, made_contact("c1", "Alice", "alice@example.test", [], []))
        put_contact(db, ALICE, made_contact("c2", "Bob", "bob@example.test", [], []))
        put_links(db, [DirectoryLink("id", BOB, AT)])
        db.execute(device_tables.DEVICES.insert().values(device_row(BOB)))


def device_row(aor: str) -> dict[str, object]:
    return {
        "aor": aor,
        "device": "desk",
        "client": "",
        "created": AT,
        "address": "",
        "invitation": "",
        "generation": 1,
        "ha1_md5": "0" * 32,
    }


def rename(users: Users, old: str, new: str) -> None:
    with users.changing(old, new) as (db, _):
        rename_user(db, old, new)
        put_links(db, [DirectoryLink("id", new, AT)])


def named_anywhere(users: Users, name: str) -> set[str]:
    """The tables that have the text *name* in a column, except the history of changes."""
    found = set[str]()
    with users.reading() as db:
        for module in ALL_TABLES:
            for table in module.SCHEMA.tables.values():
                texts = [column for column in table.columns if isinstance(column.type, sql.Text)]
                where = sql.or_(*(column.contains(name) for column in texts)) if texts else sql.false()
                if table.name != tables.CHANGES.name and db.execute(sql.select(table).where(where)).first():
                    found.add(table.name)
    return found


def test_renamed_user_is_named_everywhere_by_the_new_name_alone(users: Users, server: Users) -> None:
    with_bob(users)
    server.refresh()
    before = named_anywhere(users, "bob@example.test") - {device_tables.DEVICES.name}
    rename(users, BOB, ROBERT)
    assert (named_anywhere(users, "bob@"), named_anywhere(users, "robert@example.test")) == (set(), before)
    assert server.refresh() == {ALICE, BOB, ROBERT, GROUP}
    callers = {ROBERT: CallerRule.ALLOW, "@partner.test": CallerRule.BLOCK}
    targets = replace(OF_ALICE, always=ROBERT, busy=ROBERT, no_answer=ROBERT, away=ROBERT)
    wanted = replace(targets, callers=callers, also=(ROBERT, "tel:+49301"), delegates=(ROBERT,))
    assert server.call_rules(ALICE) == wanted
    assert server.call_rules(GROUP) == replace(OF_GROUP, members=(ALICE, ROBERT))
    assert server.watcher_rules(ALICE) == {ROBERT: Watching.ALLOW}
    assert server.watcher_rules(ROBERT) == {ALICE: Watching.BLOCK}
    with users.reading() as db:
        assert [one.address for one in contacts_of(db, ALICE)] == ["robert@example.test"]
        assert logouts_in(db) == {ROBERT: {"": 7}}
    assert users.get(ROBERT).disabled == AT


def leave_by_rename(users: Users) -> None:
    rename(users, BOB, ROBERT)


def leave_by_removal(users: Users) -> None:
    users.remove(BOB)


@pytest.mark.parametrize("leave", [leave_by_rename, leave_by_removal])
def test_later_user_of_a_name_that_was_given_up_is_named_nowhere(
    users: Users, server: Users, leave: Callable[[Users], None]
) -> None:
    with_bob(users)
    leave(users)
    users.add(BOB, "another person")
    server.refresh()
    contacts = {contact_tables.CONTACTS.name} if leave is leave_by_removal else set[str]()
    assert named_anywhere(users, "bob@example.test") == {"users", *contacts}
    rules = server.call_rules(ALICE)
    assert rules is not None
    assert BOB not in rules.names
    assert rules.rule_for(BOB) is None
    assert (server.bosses(BOB), server.watcher_rules(ALICE).get(BOB)) == (frozenset(), None)


def test_block_of_the_new_name_counts_before_what_is_granted_to_the_old_one(users: Users) -> None:
    with_bob(users)
    rules = CallRules(callers={ROBERT: CallerRule.BLOCK, BOB: CallerRule.ALLOW})
    with users.changing(ALICE) as (db, _):
        set_call_rules(db, ALICE, rules)
    rename(users, BOB, ROBERT)
    assert users.get(ALICE).calls.callers == {ROBERT: CallerRule.BLOCK}
    assert rules.with_user_renamed(ROBERT, BOB).callers == {BOB: CallerRule.BLOCK}


def test_each_table_with_addresses_of_users_is_known_here(users: Users) -> None:
    """A new table has to be renamed and removed with its user, or to be named here with the reason why not."""
    with_bob(users)
    filled = named_anywhere(users, "bob@example.test")
    everything = {table.name for module in ALL_TABLES for table in module.SCHEMA.tables.values()}
    assert everything - filled - NOT_NAMED == {device_tables.INVITATIONS.name}  # removed with the devices
