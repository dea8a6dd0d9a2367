"""What the directory has: the members of large groups, and entries by identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from sipmesh.server.directory.directory_content import _values, changed_content, whole_content
from sipmesh.server.directory.directory_login import directory_of, logged_in
from sipmesh.server.directory.group_rules import group_rules
from sipmesh.server.directory.ldap_session import Found, LdapSession
from support.directory_world import DirectoryWorld
from support.network import POOL2

pytestmark = pytest.mark.peer("openldap")


def test_entries_are_read_by_identity_only_as_far_as_they_fit(world: DirectoryWorld) -> None:
    """There are more identities than in one filter. An entry that is gone or does not fit is in no answer."""
    berlin = world.ldap.group("berlin", *(world.ldap.person(f"u{n}") for n in range(120)))
    loaded = world.loaded(pools=[{"group": berlin, "pool": POOL2}], filter="(&(objectClass=person)(!(title=left)))")
    directory, rules = directory_of(loaded), group_rules(loaded.topology)
    with logged_in(loaded, directory) as (session, _):
        whole = whole_content(session, directory, rules)
        assert (len(whole.people), len(whole.groups)) == (120, 1)
        ids = [*whole.people, *whole.groups]
        assert changed_content(session, directory, rules, ids) == whole
        first, second = (whole.people[one].dn for one in ids[:2])
        world.ldap.change(first, title="left")
        world.ldap.delete(second)
        assert changed_content(session, directory, rules, ids).people.keys() == {*ids[2:120]}


class Ranges:
    """A server that gives the members of a group in ranges of two."""

    def __init__(self, members: Sequence[bytes]) -> None:
        self._members = members

    def read(self, dn: str, attribute: str) -> Mapping[str, Sequence[bytes]]:
        assert dn == "cn=big"
        first = int(attribute.removeprefix("member;range=").removesuffix("-*"))
        end = "*" if first + 2 >= len(self._members) else str(first + 1)
        return {f"member;range={first}-{end}": self._members[first : first + 2]}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_members_that_are_given_in_ranges_are_all_read(count: int) -> None:
    members = [b"cn=%d" % n for n in range(count)]
    ranges = Ranges(members)
    first: dict[str, Any] = {"member": [], **ranges.read("cn=big", "member;range=0-*")}
    assert list(_values(cast("LdapSession", ranges), Found("cn=big", first))) == members
