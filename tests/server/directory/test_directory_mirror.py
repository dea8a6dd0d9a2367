"""Syncs that read changes alone (RFC 4533), at a real OpenLDAP: after each change they know what a whole answer has."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.directory.directory_mirror import WHOLE_EVERY, DirectoryMirror
from sipmesh.server.directory.directory_reader import read_directory
from sipmesh.server.directory.entry_reader import Answer
from sipmesh.storage.users.directory_entry import StepKind
from support.directory_ca import HOST
from support.directory_world import DirectoryWorld, directory_world
from support.network import POOL2
from support.openldap import GROUPS, PEOPLE, OpenLdap, add

pytestmark = pytest.mark.peer("openldap")

BERLIN = f"cn=berlin,{GROUPS}"
POOLS = [{"group": BERLIN, "pool": POOL2}]


@dataclass
class Followed:
    """A *world* that *mirror* follows, with *keys* of the directory."""

    world: DirectoryWorld
    mirror: DirectoryMirror
    keys: dict[str, Any]

    def look(self, at: datetime | None = None) -> Answer:
        """Read by the mirror; a whole answer has the same."""
        loaded, at = self.world.loaded(**self.keys), at or datetime.now(UTC)
        answer, _ = self.mirror.read(loaded, at)
        assert _sorted(answer) == _sorted(read_directory(loaded, at)[0])
        return answer

    def counts(self) -> tuple[int, int]:
        """Give how many answers were whole, and how many had changes alone."""
        return self.mirror.whole, self.mirror.partial


def _sorted(answer: Answer) -> Answer:
    return replace(answer, entries=sorted(answer.entries, key=lambda one: one.id), faults=sorted(answer.faults))


@pytest.fixture(name="followed")
def _followed(tmp_path: Path) -> Iterator[Followed]:
    """Carol is in a group that decides her pool; dave and erin are in none."""
    with directory_world(tmp_path) as world:
        for name in ("dave", "erin"):
            world.ldap.person(name)
        world.ldap.group("berlin", world.ldap.person("carol"))
        followed = Followed(
            world, DirectoryMirror(), {"pools": POOLS, "filter": "(&(objectClass=person)(!(title=left)))"}
        )
        assert len(followed.look().entries) == 3
        yield followed


def ou_berlin(ldap: OpenLdap, superior: str = PEOPLE) -> str:
    """Add a place, and give its DN."""
    with ldap.administrator() as admin:
        add(admin, f"ou=berlin,{superior}", objectClass="organizationalUnit", ou="berlin")
    return f"ou=berlin,{superior}"


def test_each_change_of_an_entry_is_read_alone(followed: Followed) -> None:
    ldap, dave, erin = followed.world.ldap, f"uid=dave,{PEOPLE}", f"uid=erin,{PEOPLE}"
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: ldap.person("frank"),
        lambda: ldap.change(dave, displayName="David", telephoneNumber="+49301234"),
        lambda: ldap.rename(dave, "david"),
        lambda: ldap.change(erin, pwdAccountLockedTime="000001010000Z"),
        lambda: ldap.change(erin, pwdAccountLockedTime=None),
        lambda: ldap.change(erin, title="left"),
        lambda: ldap.change(erin, title=None),
        lambda: ldap.delete(f"uid=frank,{PEOPLE}"),
        lambda: ldap.move(erin, GROUPS),
        lambda: ldap.move(f"uid=erin,{GROUPS}", PEOPLE),
        lambda: ldap.change(BERLIN, member=[erin, f"uid=david,{PEOPLE}"]),
    ]
    for count, change in enumerate(changes, 1):
        change()
        answer = followed.look()
        assert followed.counts() == (1, count), count
    assert {entry.aor[4:8] for entry in answer.entries if entry.pool == POOL2} == {"erin", "davi"}


def test_rename_and_move_of_a_place_are_seen(followed: Followed) -> None:
    """The server tells no change of the entries in it: their names are read again, and who is elsewhere is gone."""
    ldap = followed.world.ldap
    place = ou_berlin(ldap)
    with ldap.administrator() as admin:
        add(admin, f"uid=frank,{place}", objectClass="inetOrgPerson", uid="frank", cn="frank", sn="frank")
    assert len(followed.look().entries) == 4
    ldap.move(place, GROUPS)
    assert len(followed.look().entries) == 3
    ldap.move(f"ou=berlin,{GROUPS}", PEOPLE)
    assert len(followed.look().entries) == 4
    with ldap.administrator() as admin:
        admin.rename_s(place, "ou=hamburg")
    assert f"uid=frank,ou=hamburg,{PEOPLE}" in {entry.dn for entry in followed.look().entries}


def test_group_of_a_rule_that_is_gone_is_an_error_and_then_everything_is_read(followed: Followed) -> None:
    ldap = followed.world.ldap
    ldap.delete(BERLIN)
    with pytest.raises(OperatorError, match="the directory has no group"):
        followed.look()
    ldap.group("berlin", f"uid=erin,{PEOPLE}")
    followed.look()
    assert followed.counts() == (2, 1)


def test_other_filter_other_server_and_time_read_everything(followed: Followed, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    followed.look(now + WHOLE_EVERY - timedelta(seconds=9))
    assert followed.counts() == (1, 1)
    followed.look(now + WHOLE_EVERY + timedelta(seconds=9))
    assert followed.counts() == (2, 1)
    followed.keys["filter"] = "(&(objectClass=person)(!(uid=dave)))"
    assert len(followed.look(now + WHOLE_EVERY + timedelta(seconds=9)).entries) == 2
    assert followed.counts() == (3, 1)
    with OpenLdap(tmp_path / "second", followed.world.ca.server(HOST)) as second:
        second.group("berlin", second.person("dave"), second.person("frank"))
        first = followed.world.ldap.keys()["servers"]
        followed.keys["servers"] = [*first, *second.keys()["servers"]]
        followed.look(now)
        assert followed.counts() == (4, 1)
        followed.world.ldap.stop()
        assert [entry.aor for entry in followed.look(now).entries] == ["sip:frank@example.test"]
        assert followed.counts() == (5, 1)


def test_directory_that_was_restored_is_read_as_a_whole_within_the_bound_of_losses(tmp_path: Path) -> None:
    """The backup has 5 of 10 users; its cookies are older than ours."""
    with directory_world(tmp_path) as world:
        mirror, names, data = DirectoryMirror(), [f"u{n}" for n in range(10)], world.ldap.folder / "data"
        for name in names[:5]:
            world.ldap.person(name)
        world.ldap.stop()
        shutil.copytree(data, tmp_path / "backup")
        world.ldap.start()
        for name in names[5:]:
            world.ldap.person(name)
        assert world.follow(mirror).steps[StepKind.ADD] == 10
        world.ldap.stop()
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "backup", data)
        world.ldap.start()
        with pytest.raises(OperatorError, match="5 of 10 users would lose their access"):
            world.follow(mirror)
        assert (mirror.whole, mirror.partial) == (2, 0)
        assert world.with_access() == {"alice", "bob", *names}


@pytest.mark.parametrize("lost", [2, 4])
def test_losses_by_changes_alone_have_the_same_bound(world: DirectoryWorld, lost: int) -> None:
    mirror, names = DirectoryMirror(), [f"u{n}" for n in range(10)]
    dns = [world.ldap.person(name) for name in names]
    world.follow(mirror)
    for dn in dns[:lost]:
        world.ldap.delete(dn)
    if lost == 2:
        assert dict(world.follow(mirror).steps) == {StepKind.DISABLE: 2}
    for _ in range(2 if lost == 4 else 0):  # the second answer has no change more
        with pytest.raises(OperatorError, match="4 of 10 users would lose their access: more than 20 %"):
            world.follow(mirror)
        assert world.with_access() == {"alice", "bob", *names}
    assert (mirror.whole, mirror.partial) == (1, lost // 2)


def test_all_entries_gone_is_an_error(world: DirectoryWorld) -> None:
    mirror, dn = DirectoryMirror(), world.ldap.person("carol")
    world.follow(mirror)
    world.ldap.delete(dn)
    with pytest.raises(OperatorError, match="has no entry that fits"):
        world.follow(mirror)
    assert (world.with_access(), mirror.follows) == ({"alice", "bob", "carol"}, False)


def test_cookie_that_the_server_does_not_know_reads_everything(world: DirectoryWorld) -> None:
    mirror, dn = DirectoryMirror(), world.ldap.person("carol")
    world.follow(mirror)
    assert mirror._held is not None
    mirror._held = replace(mirror._held, cookies={PEOPLE: b"rid=000,csn=29990101000000.000000Z#000000#000#000000"})
    world.ldap.change(dn, displayName="Caroline")
    assert dict(world.follow(mirror).steps) == {StepKind.UPDATE: 1}
    assert (mirror.whole, mirror.partial) == (2, 0)
    assert not world.follow(mirror).steps
    assert (mirror.whole, mirror.partial) == (2, 1)
