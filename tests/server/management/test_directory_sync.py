"""The certificates of devices end with the entry of their user, tried with a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.status import CertificateState
from sipmesh.server.management.device_certificates import DeviceIssuing, device_certificates
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.invitations import Invitations
from sipmesh.storage.users.user_database import Users
from support.directory_world import DOMAIN, DirectoryWorld, directory_world

pytestmark = pytest.mark.peer("openldap")


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[DirectoryWorld]:
    with directory_world(tmp_path) as world:
        yield world


def _unnoted(act: AuditAct, /, **about: object) -> None:
    """Write no line."""


def test_removed_entry_disables_the_user_and_ends_each_way_in(world: DirectoryWorld) -> None:
    """Passwords of devices, open invitations and device certificates; those of another user stay."""
    dn, now = world.ldap.person("carol"), datetime.now(UTC)
    world.ldap.person("dave")
    world.sync()
    CaGenerations(world.folder / "ca").current.certify_devices((DOMAIN,), now)
    users, management_db = Users(world.loaded().users_url), ManagementDb(world.folder)
    invitations = Invitations(users)
    issuing = DeviceIssuing(CaGenerations(world.folder / "ca").current, users, world.loaded().topology, _unnoted)
    for user in ("carol", "dave"):
        issuing.issue(user, "desk", now)
        wanted = Invitation("", f"sip:{user}@{DOMAIN}", "mobile", "", "", "", now, now + timedelta(days=1))
        invitations.take(invitations.invite(wanted)[1], "baresip", "192.0.2.7", now)
        invitations.invite(Invitation("", f"sip:{user}@{DOMAIN}", "", "", "", "", now, now + timedelta(days=1)))
    users.close()
    world.ldap.delete(dn)
    assert world.sync().revoked == 1
    users = Users(world.loaded().users_url)
    invitations = Invitations(users)
    left = {
        user: (
            [device.name for device in invitations.devices(f"sip:{user}@{DOMAIN}")],
            len(invitations.open_ones(f"sip:{user}@{DOMAIN}", now)),
            [one.state for one in device_certificates(CaGenerations(world.folder / "ca"), f"{user}@{DOMAIN}", now)],
        )
        for user in ("carol", "dave")
    }
    users.close()
    assert left == {"carol": ([], 0, [CertificateState.REVOKED]), "dave": (["mobile"], 1, [CertificateState.VALID])}
    lines = [line.about for line in management_db.audit.readable() if line.who == "directory"]
    management_db.close()
    assert {"user": f"carol@{DOMAIN}", "directory": "disable", "because": "removed"}.items() <= lines[-2].items()
    assert "serial" in lines[-1]
