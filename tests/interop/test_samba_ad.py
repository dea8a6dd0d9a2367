"""Users of a real Active Directory, that of Samba: each change of an account is seen in a plan, and applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.world import Result, sipmesh
from sipmesh.demo.organisation import Organisation
from sipmesh.server.directory.directory_mirror import DirectoryMirror
from sipmesh.server.directory.directory_reader import read_directory
from sipmesh.storage.users.user import User
from sipmesh.storage.users.user_database import Users
from support.directory_ca import HOST, DirectoryCa
from support.managed import Managed, build_managed, second_pool
from support.network import POOL2
from support.openldap import write_password
from support.samba_ad import DOMAIN, GROUPS, PASSWORD, PEOPLE, SambaAd

pytestmark = [pytest.mark.peer("samba"), pytest.mark.peer("openldap")]

BERLIN = f"OU=Berlin,{PEOPLE}"


@dataclass
class Domain:
    """The domain of *samba*, and an *organisation* whose published version names it."""

    samba: SambaAd
    organisation: Organisation

    def type(self, *words: str) -> Result:
        """Run a command of the directory."""
        return sipmesh("directory", *words, "--topology", self.organisation.file)

    def plan(self) -> list[tuple[str, str]]:
        """Give the steps of a plan: kind and user."""
        planned = self.type("plan", "--json")
        assert planned.code == 0, planned.err
        assert (planned.json["conflicts"], planned.json["faults"]) == ([], [])
        return [(one["kind"], one["user"].partition("@")[0]) for one in planned.json["steps"]]

    def changed(self) -> list[tuple[str, str]]:
        """Plan, apply, and give what was planned; then nothing is left to do."""
        planned = self.plan()
        applied = self.type("apply", "--accept-loss")
        assert (applied.code, self.plan()) == (0, []), applied.err
        return planned

    def users(self) -> dict[str, User]:
        """Give the users who may log in."""
        users = Users(self.organisation.load().users_url)
        try:
            return {user.aor[4:].partition("@")[0]: user for user in users.list() if user.disabled is None}
        finally:
            users.close()


@pytest.fixture(name="domain")
def _domain(tmp_path: Path) -> Iterator[Domain]:
    """Carol is in a group that is in the group Berlin, whose members have the second pool as their home; dave is in none."""
    ca = DirectoryCa()
    with SambaAd(tmp_path / "dc1", ca.server(HOST)) as samba:
        samba.person("carol", "--given-name=Carol", "--surname=Smith", "--telephone-number=+49 30 1234")
        samba.person("dave")
        samba.group("Mitte", "carol")
        berlin = samba.group("Berlin", "Mitte")
        organisation = build_managed(tmp_path / "o", second_pool())
        write_password(organisation.folder, PASSWORD)
        pools = [{"group": berlin, "pool": POOL2}]
        organisation.document["directory"] = samba.keys(pools=pools, **ca.write(organisation.folder))
        organisation.write()
        Managed(organisation, tmp_path)
        yield Domain(samba, organisation)


@pytest.mark.wide
def test_each_change_of_an_account_is_planned_and_applied(domain: Domain) -> None:
    samba = domain.samba
    assert sorted(domain.changed()) == [("add", "carol"), ("add", "dave")]
    carol = domain.users()["carol"]
    assert (carol.aliases, carol.pool, domain.users()["dave"].pool != POOL2) == (("tel:+49301234",), POOL2, True)
    # rename of the login, and of the entry
    samba.tool("user", "rename", "carol", "--samaccountname=caroline")
    assert domain.changed() == [("rename", "caroline")]
    assert set(domain.users()["caroline"].aliases) == {"tel:+49301234", "sip:carol@example.test"}
    samba.tool("user", "rename", "caroline", "--surname=Jones", "--display-name=Caroline Jones", "--reset-cn")
    assert domain.changed() == [("update", "caroline")]
    # move below the base, out of it, and back
    samba.tool("ou", "create", BERLIN)
    samba.tool("user", "move", "caroline", BERLIN)
    assert domain.changed() == [("update", "caroline")]
    assert domain.users()["caroline"].pool == POOL2
    samba.tool("user", "move", "caroline", f"CN=Users,{DOMAIN}")
    assert domain.changed() == [("disable", "caroline")]
    assert "caroline" not in domain.users()
    samba.tool("user", "move", "caroline", PEOPLE)
    assert domain.changed() == [("enable", "caroline")]
    # the flag of an account, its end, and its deletion
    samba.tool("user", "disable", "caroline")
    assert domain.changed() == [("disable", "caroline")]
    samba.tool("user", "enable", "caroline")
    assert domain.changed() == [("enable", "caroline")]
    samba.tool("user", "setexpiry", "caroline", "--days=0")
    assert domain.changed() == [("disable", "caroline")]
    samba.tool("user", "setexpiry", "caroline", "--noexpiry")
    assert domain.changed() == [("enable", "caroline")]
    samba.tool("user", "delete", "caroline")
    assert domain.changed() == [("disable", "caroline")]
    # another person gets the login of a user who is gone
    samba.person("caroline")
    (conflict,) = domain.type("plan", "--json").json["conflicts"]
    assert "is a user of an entry that is gone" in conflict["reason"]
    assert set(domain.users()) == {"alice", "bob", "dave"}


@pytest.mark.wide
def test_each_change_is_read_alone_by_an_account_that_sees_deletions(domain: Domain) -> None:
    """After each change the mirror knows what a whole answer has. Without the right, everything is read, to the same effect."""
    samba, loaded = domain.samba, domain.organisation.load()

    def looked(mirror: DirectoryMirror) -> set[str]:
        at = datetime.now(UTC)
        entries, whole = mirror.read(loaded, at)[0].entries, read_directory(loaded, at)[0].entries
        assert sorted(entries, key=lambda one: one.id) == sorted(whole, key=lambda one: one.id)
        return {f"{one.aor[4:].partition('@')[0]} {one.pool} {one.ended_by}".strip() for one in entries}

    for may_replicate in (False, True):
        if may_replicate:
            samba.let_replicate()
        unable = DirectoryMirror()
        for _ in range(2):
            assert looked(unable) == {f"carol {POOL2}", "dave None"}
        assert (unable.whole, unable.partial) == (2, 0)
    samba.let_see_deletions()
    mirror = DirectoryMirror()
    looked(mirror)
    carol, dave, mitte = f"CN=Carol Smith,{PEOPLE}", f"CN=dave,{PEOPLE}", f"CN=Mitte,{GROUPS}"
    changes: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: samba.change(carol, userAccountControl="514"), {f"carol {POOL2} disabled", "dave None"}),
        (lambda: samba.change(carol, userAccountControl="512"), {f"carol {POOL2}", "dave None"}),
        (lambda: samba.change(carol, sAMAccountName="caroline"), {f"caroline {POOL2}", "dave None"}),
        (lambda: samba.change(dave, accountExpires="134000000000000000"), {f"caroline {POOL2}", "dave None expired"}),
        (lambda: samba.change(dave, accountExpires="0"), {f"caroline {POOL2}", "dave None"}),
        (lambda: samba.change(mitte, member=dave), {"caroline None", f"dave {POOL2}"}),
        (lambda: samba.move(dave, f"CN=Users,{DOMAIN}"), {"caroline None"}),
        (lambda: samba.move(f"CN=dave,CN=Users,{DOMAIN}", PEOPLE), {"caroline None", f"dave {POOL2}"}),
        (lambda: samba.delete(carol), {f"dave {POOL2}"}),
        (lambda: samba.person("erin"), {f"dave {POOL2}", "erin None"}),
    ]
    for count, (change, expected) in enumerate(changes, 1):
        change()
        assert looked(mirror) == expected, count
        assert (mirror.whole, mirror.partial) == (1, count)
    # the server tells no change of who is in a place that has another name or place
    samba.tool("ou", "create", BERLIN)
    samba.move(dave, BERLIN)
    looked(mirror)
    samba.move(BERLIN, PEOPLE, "OU=Hamburg")
    looked(mirror)
    samba.move(f"OU=Hamburg,{PEOPLE}", DOMAIN)
    assert looked(mirror) == {"erin None"}
