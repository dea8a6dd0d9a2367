"""A directory of 50,000 users, real OpenLDAP: the first sync, each later one, and a front end that gets all these users."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sipmesh.server.directory.directory_mirror import DirectoryMirror
from sipmesh.storage.users.directory_entry import StepKind
from support.directory_world import DirectoryWorld, directory_world
from support.managed import MGMT, Managed, build_managed, second_pool
from support.network import FE1
from support.openldap import GROUPS, PEOPLE, OpenLdap, write_password
from support.running import until, within

pytestmark = [pytest.mark.soak, pytest.mark.peer("openldap"), pytest.mark.timeout(3_600)]

COUNT: Final = 50_000
OUT_S: Final = 60.0
"""Seconds within which a user who is disabled in the directory is out: the test permits ten times as much."""

FIRST: Final = "first sync"
OFTEN_S: Final = 0.25
"""Seconds between two requests of the phone."""

MOST_MB: Final = 400
"""Megabytes that a sync may need besides what the process has already."""

POOLS: Final = [{"group": f"cn=berlin,{GROUPS}", "pool": "pool2.example.test"}]


def entries() -> Iterator[str]:
    """Yield all people, and a group that has each second one."""
    for number in range(COUNT):
        yield (
            f"dn: uid=u{number},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: u{number}\ncn: {number}\nsn: {number}\n"
            f"displayName: User {number}\nmail: first.last{number}@example.test\ntelephoneNumber: +4930{number:07d}\n\n"
        )
    yield f"dn: cn=berlin,{GROUPS}\nobjectClass: groupOfNames\ncn: berlin\n"
    yield from (f"member: uid=u{number},{PEOPLE}\n" for number in range(0, COUNT, 2))


def fill(ldap: OpenLdap, file: Path) -> None:
    """Add the entries while the server does not run."""
    ldap.stop()
    file.write_text("".join(entries()))
    configuration = ldap.folder / "slapd.conf"
    subprocess.run(("/usr/sbin/slapadd", "-q", "-f", configuration, "-l", file), check=True)
    ldap.start()


def most_mb() -> float:
    """Give the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[DirectoryWorld]:
    with directory_world(tmp_path) as world:
        fill(world.ldap, tmp_path / "people.ldif")
        yield world


def test_later_syncs_of_a_large_directory_are_short_and_small(world: DirectoryWorld) -> None:
    """As a command syncs, which reads everything, and as a management server does, which reads what has changed."""
    before, figures, mirror = most_mb(), list[str](), DirectoryMirror()

    def synced(name: str, change: Callable[[], object] = lambda: None, *, all_of: bool = True) -> dict[StepKind, int]:
        change()
        began, cpu = time.monotonic(), time.process_time()
        taken = world.sync(more={"pools": POOLS}) if all_of else world.follow(mirror, pools=POOLS)
        took, used = time.monotonic() - began, time.process_time() - cpu
        figures.append(f"{name}: {took:.1f} s, {used:.1f} s of CPU, {most_mb() - before:.0f} MB")
        assert name == FIRST or took < 10 * OUT_S, figures
        return dict(taken.steps)

    person, other = f"uid=u7,{PEOPLE}", f"uid=u9,{PEOPLE}"
    assert synced(FIRST) == {StepKind.ADD: COUNT}
    assert synced("no change") == {}
    assert synced("another name to read", lambda: world.ldap.change(person, displayName="Other")) == {
        StepKind.UPDATE: 1
    }
    assert synced("one removed", lambda: world.ldap.delete(person)) == {StepKind.DISABLE: 1}
    assert synced("first by changes: everything", all_of=False) == {}
    assert synced("no change, by changes", all_of=False) == {}
    assert synced("renamed, by changes", lambda: world.ldap.rename(other, "other"), all_of=False) == {
        StepKind.RENAME: 1
    }
    sys.stdout.write("\n".join((*figures, "")))
    assert most_mb() - before < MOST_MB, figures


@within(40 * OUT_S)
async def test_front_end_answers_while_all_users_arrive(world: DirectoryWorld, tmp_path: Path) -> None:
    """Management and the front end share a process here, so the phone waits longer than it does where each has its own."""
    organisation = build_managed(tmp_path / "n", second_pool())
    write_password(organisation.folder)
    organisation.document["directory"] = world.ldap.keys(**world.ca.write(organisation.folder), pools=POOLS)
    organisation.write()
    async with Managed(organisation, tmp_path / "h") as network:
        await network.start(MGMT, FE1)
        users: Any = network.nodes[FE1].users
        await until(lambda: users.verifier("sip:alice@example.test"))
        phone, began = await network.phone(FE1, "alice"), time.monotonic()
        waits, numbers = list[float](), set[int]()
        while not users.owner(f"sip:first.last{COUNT - 1}@example.test") or users.number < COUNT:
            asked = time.monotonic()
            assert (await phone.register(password="alice-secret")).status == 200
            waits.append(time.monotonic() - asked)
            numbers.add(users.number)
            await asyncio.sleep(OFTEN_S)
        first = time.monotonic() - began
        numbers.add(users.number)
        world.ldap.rename(f"uid=u9,{PEOPLE}", "other")
        began = time.monotonic()
        await until(lambda: users.verifier("sip:other@example.test") and not users.verifier("sip:u9@example.test"))
        renamed = time.monotonic() - began
        waits.sort()
        sys.stdout.write(
            f"all users at the front end: {first:.0f} s, by {len(numbers)} changes; renamed: {renamed:.1f} s; "
            f"a phone waited {waits[len(waits) // 2]:.3f} s, at most {waits[-1]:.2f} s, {len(waits)} times\n"
        )
