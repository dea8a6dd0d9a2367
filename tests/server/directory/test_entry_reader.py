"""Entries as users: names, numbers and texts, whose author decides about this user alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.directory.entry_reader import MOST_ALIASES, EntryReader
from sipmesh.server.directory.group_rules import GivenByGroups
from sipmesh.server.directory.ldap_session import Found
from support.directory_world import DirectoryWorld
from support.openldap import PEOPLE, add

pytestmark = pytest.mark.peer("openldap")

LOCAL = {"alice", "bob"}


def test_control_characters_and_markup_in_names_are_shown_as_text(world: DirectoryWorld) -> None:
    world.ldap.person("carol", displayName="<script>alert(1)</script>\n\x1b[2Jroot")
    world.sync()
    with world.opened() as sync:
        link = sync.explain("carol@example.test", datetime.now(UTC)).link
    assert link is not None
    assert link.name.isprintable()
    assert "<script>" in link.name  # pages escape it


@pytest.mark.parametrize("uid", ["a b", "x+mobile", "käthe", "c;d", "e@evil.test", "-f", "x" * 65])
def test_name_that_can_be_no_user_is_reported_and_others_are_synced(world: DirectoryWorld, uid: str) -> None:
    with world.ldap.administrator() as admin:
        add(admin, f"cn=odd,{PEOPLE}", objectClass="inetOrgPerson", cn="odd", sn="odd", uid=uid)
    world.ldap.person("carol")
    looked = world.look()
    assert [one.dn for one in looked.answer.unusable.values()] == [f"cn=odd,{PEOPLE}"]
    world.sync()
    assert set(world.users()) == {*LOCAL, "carol"}


def test_entry_without_an_identity_is_an_error(world: DirectoryWorld) -> None:
    """It cannot be known which user is missing then."""
    loaded = world.loaded()
    assert loaded.topology.directory is not None
    reader = EntryReader(loaded.topology, loaded.topology.directory, lambda _dn: GivenByGroups(), datetime.now(UTC))
    with pytest.raises(OperatorError, match="has no entryUUID that can be read"):
        reader.answer([Found("cn=a", {"uid": [b"a"]})])


def test_aliases_of_an_entry_are_bounded(world: DirectoryWorld) -> None:
    numbers = [f"+49 30 {n}" for n in range(10, 10 + MOST_ALIASES + 1)]
    world.ldap.person("carol", telephoneNumber=numbers)
    answer = world.look().answer
    assert len(answer.entries[0].aliases) == MOST_ALIASES
    assert answer.faults == [
        ("carol@example.test", f"has {MOST_ALIASES + 1} numbers and addresses, and the first 16 count")
    ]
    world.ldap.change(f"uid=carol,{PEOPLE}", telephoneNumber=numbers[1:])
    assert not world.look().answer.faults
