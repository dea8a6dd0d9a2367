"""A directory of 50,000 users, real OpenLDAP: seconds and memory of the first sync, and of each later sync."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from sipmesh.storage.users.directory_entry import StepKind
from support.directory_world import DirectoryWorld, directory_world
from support.openldap import GROUPS, PEOPLE, OpenLdap

pytestmark = [pytest.mark.soak, pytest.mark.peer("openldap")]

COUNT: Final = 50_000
OUT_S: Final = 60.0
"""Seconds within which a user who is disabled in the directory is out: the test permits ten times as much."""

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
    before, figures = most_mb(), list[str]()

    def synced(name: str, change: Callable[[], object] = lambda: None) -> tuple[dict[StepKind, int], float]:
        change()
        began, cpu = time.monotonic(), time.process_time()
        steps = dict(world.sync(more={"pools": POOLS}).steps)
        took = time.monotonic() - began
        figures.append(f"{name}: {took:.1f} s, {time.process_time() - cpu:.1f} s of CPU, {most_mb() - before:.0f} MB")
        return steps, took

    person = f"uid=u7,{PEOPLE}"
    assert synced("first sync")[0] == {StepKind.ADD: COUNT}
    later = [
        ({}, synced("no change")),
        ({StepKind.UPDATE: 1}, synced("another name", lambda: world.ldap.change(person, displayName="Other"))),
        ({StepKind.DISABLE: 1}, synced("one removed", lambda: world.ldap.delete(person))),
    ]
    sys.stdout.write("\n".join((*figures, "")))
    assert [found for _, (found, _) in later] == [expected for expected, _ in later]
    assert max(took for _, (_, took) in later) < 10 * OUT_S, figures
    assert most_mb() - before < MOST_MB, figures
