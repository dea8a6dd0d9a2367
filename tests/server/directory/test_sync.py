"""Syncs with a real OpenLDAP: each change of an entry, losses, names that are taken, and syncs that end anywhere."""

from __future__ import annotations

import sqlite3 as sql
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.status import CertificateState
from sipmesh.server.management.device_certificates import DeviceIssuing, device_certificates, revoke_devices
from sipmesh.storage.audit import Audit
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.directory_entry import StepKind
from sipmesh.storage.users.directory_links import DirectoryLinks
from sipmesh.storage.users.user_database import Users
from support.directory_world import DOMAIN, DirectoryWorld
from support.network import POOL
from support.openldap import PEOPLE, add

pytestmark = pytest.mark.peer("openldap")

LOCAL = {"alice", "bob"}


def _unnoted(act: AuditAct, /, **about: object) -> None:
    """Write no line."""


def test_entry_is_a_user_with_its_numbers_and_addresses(world: DirectoryWorld) -> None:
    world.ldap.person("Carol", mail="Carol.Smith@example.test", telephoneNumber=["+49 30 1234", "42"])
    world.ldap.person("dave", mail="dave@elsewhere.test")
    taken = world.sync()
    assert (dict(taken.steps), taken.conflicts) == ({StepKind.ADD: 2}, [])
    users = world.users()
    assert set(users) == {*LOCAL, "carol", "dave"}
    numbers = {"tel:+49301234", f"tel:42;phone-context={DOMAIN}", "sip:carol.smith@example.test"}
    assert (set(users["carol"].aliases), users["dave"].aliases) == (numbers, ())
    assert not world.sync().steps


def test_rename_keeps_the_user_and_the_old_name(world: DirectoryWorld) -> None:
    dn = world.ldap.person("carol", telephoneNumber="+49301234")
    world.sync()
    created = world.users()["carol"].created
    world.ldap.rename(dn, "caroline")
    assert dict(world.sync().steps) == {StepKind.RENAME: 1}
    users = world.users()
    assert set(users) == {*LOCAL, "caroline"}
    assert users["caroline"].created == created
    assert set(users["caroline"].aliases) == {"sip:carol@example.test", "tel:+49301234"}
    world.ldap.rename(f"uid=caroline,{PEOPLE}", "carol")
    assert dict(world.sync().steps) == {StepKind.RENAME: 1}
    assert set(world.users()["carol"].aliases) == {"sip:caroline@example.test", "tel:+49301234"}
    assert not world.sync().steps


def test_rename_keeps_groups_and_delegates_and_leaves_them_to_no_later_user_of_the_old_name(
    world: DirectoryWorld,
) -> None:
    dn = world.ldap.person("carol")
    world.sync()
    world.type("user", "rules", "set", "bob", "--delegate", "carol")
    world.type("group", "add", "sales", "--pool", POOL, "--member", "carol", "--member", "bob")
    world.ldap.rename(dn, "caroline")
    world.sync()
    users = world.users()
    assert users["bob"].calls.delegates == (f"sip:caroline@{DOMAIN}",)
    assert users["sales"].calls.members == (f"sip:caroline@{DOMAIN}", f"sip:bob@{DOMAIN}")
    world.type("user", "alias", "remove", "caroline", f"carol@{DOMAIN}")
    world.ldap.person("carol", sn="another person")
    assert dict(world.sync().steps) == {StepKind.ADD: 1}
    users = world.users()
    named = {*users["bob"].calls.delegates, *users["sales"].calls.members}
    assert users["carol"].aor not in named


def test_move_to_another_place_below_the_base_changes_only_the_place(world: DirectoryWorld) -> None:
    dn = world.ldap.person("carol")
    world.sync()
    before = world.users()["carol"]
    with world.ldap.administrator() as admin:
        add(admin, f"ou=berlin,{PEOPLE}", objectClass="organizationalUnit", ou="berlin")
        admin.rename_s(dn, "uid=carol", newsuperior=f"ou=berlin,{PEOPLE}")
    assert dict(world.sync().steps) == {StepKind.UPDATE: 1}
    assert world.users()["carol"] == before


@pytest.mark.parametrize(
    ("ends", "begins"),
    [
        ({"pwdAccountLockedTime": "000001010000Z"}, {"pwdAccountLockedTime": None}),
        (
            {"objectClass": ["inetOrgPerson", "shadowAccount"], "shadowExpire": "1"},
            {"objectClass": ["inetOrgPerson", "shadowAccount"], "shadowExpire": "-1"},
        ),
        ({"displayName": "gone"}, {"displayName": "Carol"}),
    ],
)
def test_access_ends_and_begins_with_the_entry(
    world: DirectoryWorld, ends: dict[str, str], begins: dict[str, str]
) -> None:
    """The last row is an entry that the filter excludes."""
    dn, more = world.ldap.person("carol", telephoneNumber="+49301234"), {"filter": "(!(displayName=gone))"}
    world.sync(more=more)
    world.ldap.change(dn, **ends)
    if ends == {"displayName": "gone"}:
        world.ldap.person("dave")
    world.sync(more=more)
    assert "carol" not in world.with_access()
    assert world.users()["carol"].aliases == ("tel:+49301234",)
    world.ldap.change(dn, **begins)
    assert world.sync(more=more).steps[StepKind.ENABLE] == 1
    assert "carol" in world.with_access()


def test_user_whom_an_operator_has_disabled_stays_disabled(world: DirectoryWorld) -> None:
    """And one whom the directory has disabled cannot be enabled here for long."""
    dn = world.ldap.person("carol")
    world.ldap.person("dave")
    world.sync()
    users = Users(world.loaded().users_url)
    users.disable("carol@example.test", datetime.now(UTC))
    world.ldap.change(dn, displayName="Carol the second")
    world.sync()
    assert "carol" not in world.with_access()
    world.ldap.delete(f"uid=dave,{PEOPLE}")
    world.sync(accept_loss=True)
    users.enable("dave@example.test")
    world.sync()
    users.close()
    assert world.with_access() == LOCAL


@pytest.mark.parametrize("lost", [2, 4])
def test_loss_of_many_users_changes_nothing_until_an_operator_accepts_it(world: DirectoryWorld, lost: int) -> None:
    """40 % fewer than before; 20 % are within the limit."""
    names = [f"u{n}" for n in range(10)]
    dns = [world.ldap.person(name) for name in names]
    world.sync()
    for dn in dns[:lost]:
        world.ldap.delete(dn)
    world.ldap.person("erin")
    if lost == 2:
        world.sync()
        assert world.with_access() == {*LOCAL, *names[lost:], "erin"}
        return
    with pytest.raises(OperatorError, match="4 of 10 users would lose their access: more than 20 %"):
        world.sync()
    assert world.with_access() == {*LOCAL, *names}
    world.sync(accept_loss=True)
    assert world.with_access() == {*LOCAL, *names[lost:], "erin"}
    world.ldap.delete(dns[-1])
    world.sync()  # an accepted loss is ignored
    assert world.with_access() == {*LOCAL, *names[lost:-1], "erin"}


def test_losses_of_one_day_are_counted_together(world: DirectoryWorld) -> None:
    """An attacker who takes users one by one is stopped too; a day later the count begins again."""
    dns = [world.ldap.person(f"u{n}") for n in range(10)]
    now = datetime.now(UTC)
    world.sync(now)
    for dn in dns[:2]:
        world.ldap.delete(dn)
        world.sync(now)
    world.ldap.delete(dns[2])
    with pytest.raises(OperatorError, match="and 2 have lost it in the last day"):
        world.sync(now + timedelta(hours=23))
    world.sync(now + timedelta(hours=25))
    assert world.with_access() == {*LOCAL, *(f"u{n}" for n in range(3, 10))}


def test_directory_that_was_restored_with_other_ids_changes_no_user(world: DirectoryWorld) -> None:
    names = [f"u{n}" for n in range(5)]
    for name in names:
        world.ldap.person(name)
    world.sync()
    before = world.users()
    for name in names:
        world.ldap.delete(f"uid={name},{PEOPLE}")
        world.ldap.person(name)
    taken = world.sync()
    assert (dict(taken.steps), len(taken.conflicts)) == ({}, 5)
    assert all("another id than before" in one.reason for one in taken.conflicts)
    assert world.users() == before
    with world.opened() as sync:
        assert len(sync.adopt_all(datetime.now(UTC))) == 5
    taken = world.sync()
    assert (dict(taken.steps), taken.conflicts, world.users()) == ({}, [], before)


def test_local_user_wins_and_is_adopted_without_a_change(world: DirectoryWorld) -> None:
    world.ldap.person("alice")
    before = world.users()["alice"]
    taken = world.sync()
    assert [(one.user, one.reason) for one in taken.conflicts] == [
        ("alice@example.test", "is a local user, who stays as before")
    ]
    with world.opened() as sync:
        sync.adopt("alice@example.test", datetime.now(UTC))
    taken = world.sync()
    assert (dict(taken.steps), taken.conflicts, world.users()["alice"]) == ({}, [], before)
    world.ldap.delete(f"uid=alice,{PEOPLE}")
    world.ldap.person("dave")
    world.sync()
    assert world.with_access() == {"bob", "dave"}


class KilledError(BaseException):
    """The process ends here."""


def noted(world: DirectoryWorld) -> list[tuple[str, str]]:
    """What the audit log has about users of the directory: the user, and what was done."""
    database = ManagementDb(world.folder)
    lines = [
        (line.about["user"], line.about["directory"]) for line in database.audit.read() if "directory" in line.about
    ]
    database.close()
    return lines


@pytest.mark.parametrize("step", range(8))
def test_sync_that_is_killed_anywhere_is_finished_by_the_next_one(world: DirectoryWorld, step: int) -> None:
    """Before and after each transaction and its line in the audit log, and around the revocation of device certificates."""
    carol = world.ldap.person("carol")
    world.ldap.person("dave")
    world.sync()
    now = datetime.now(UTC)
    CaGenerations(world.folder / "ca").current.certify_devices((DOMAIN,), now)
    users = Users(world.loaded().users_url)
    DeviceIssuing(CaGenerations(world.folder / "ca").current, users, world.loaded().topology, _unnoted).issue(
        "carol", "d", now
    )
    users.close()
    world.ldap.delete(carol)
    world.ldap.rename(f"uid=dave,{PEOPLE}", "david")
    world.ldap.person("erin")
    calls = iter(range(100))

    def killing(original: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            if next(calls) == step:
                raise KilledError
            done = original(*given, **named)
            if next(calls) == step:
                raise KilledError
            return done

        return call

    patched = (
        mock.patch.object(DirectoryLinks, "take", killing(DirectoryLinks.take)),
        mock.patch("sipmesh.server.management.directory_sync.revoke_devices", killing(revoke_devices)),
        mock.patch.object(DirectoryLinks, "revoked", killing(DirectoryLinks.revoked)),
        mock.patch.object(Audit, "add_all", killing(Audit.add_all)),
        mock.patch("sipmesh.server.directory.sync.AT_ONCE", 1),
    )
    with patched[0], patched[1], patched[2], patched[3], patched[4], pytest.raises(KilledError):
        world.sync(accept_loss=True)
    world.sync(accept_loss=True)
    lines = noted(world)
    for user, kind in (("carol", "disable"), ("david", "rename"), ("erin", "add")):
        assert lines.count((f"{user}@{DOMAIN}", kind)) == 1
    assert world.with_access() == {*LOCAL, "david", "erin"}
    generations = CaGenerations(world.folder / "ca")
    (certificate,) = device_certificates(generations, f"carol@{DOMAIN}", datetime.now(UTC))
    assert certificate.state is CertificateState.REVOKED
    assert not world.sync().steps


def test_two_syncs_never_run_at_once_and_an_old_look_is_refused(world: DirectoryWorld) -> None:
    """A server that was stopped between its look and its steps changes no user who has changed since."""
    dn = world.ldap.person("carol")
    world.ldap.person("dave")
    world.sync()
    world.ldap.change(dn, displayName="Karola")
    with world.opened() as slow, world.opened() as other, slow.alone():
        with pytest.raises(OperatorError, match="another sync of the directory runs"), other.alone():
            pass
        now = datetime.now(UTC)
        old = slow.look(now)
        other.take(other.look(now), now)
        world.ldap.delete(dn)
        other.take(other.look(now), now)
        taken = slow.take(old, now)
    assert (dict(taken.steps), len(taken.conflicts)) == ({}, 1)
    assert "was changed while the sync ran" in taken.conflicts[0].reason
    assert "carol" not in world.with_access()


def test_user_who_cannot_be_added_holds_up_no_other(world: DirectoryWorld) -> None:
    """A number that is the name of a local user is found when the step is taken; the others of the same transaction count."""
    users = Users(world.loaded().users_url)
    users.add(f"sip:+49301@{DOMAIN}", "secret")
    users.close()
    for number in range(5):
        world.ldap.person(f"u{number}", telephoneNumber=f"+4930{number}")
    taken = world.sync()
    assert (dict(taken.steps), [one.user for one in taken.conflicts]) == ({StepKind.ADD: 4}, [f"u1@{DOMAIN}"])
    assert "is already a name of sip:+49301@" in taken.conflicts[0].reason
    assert sorted(noted(world)) == [(f"u{number}@{DOMAIN}", "add") for number in (0, 2, 3, 4)]


def test_audit_log_that_takes_no_line_changes_no_user(world: DirectoryWorld) -> None:
    world.ldap.person("carol")
    with world.opened() as sync:
        now = datetime.now(UTC)
        looked = sync.look(now)
        with closing(sql.connect(world.folder / "management.db")) as db, db:
            db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END")
        taken = sync.take(looked, now)
        assert ("carol" in world.with_access(), len(taken.conflicts)) == (False, 1)
        with closing(sql.connect(world.folder / "management.db")) as db, db:
            db.execute("DROP TRIGGER full")
        assert dict(sync.take(looked, now).steps) == {StepKind.ADD: 1}
    assert ("carol" in world.with_access(), len(noted(world))) == (True, 1)


def test_user_database_that_is_away_changes_nothing(world: DirectoryWorld) -> None:
    world.ldap.person("carol")
    with world.opened() as sync:
        now = datetime.now(UTC)
        looked = sync.look(now)
        with mock.patch.object(Users, "changing", side_effect=OperatorError("the database does not answer")):
            taken = sync.take(looked, now)
    assert (dict(taken.steps), [one.reason for one in taken.conflicts]) == ({}, ["the database does not answer"])
    world.sync()
    assert "carol" in world.with_access()
