"""`sipmesh user devices`: which device took an invitation, and the end of one of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.world import sipmesh
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.invitations import Invitations
from sipmesh.storage.users.user_database import Users
from support.managed import build_published


def test_devices_are_listed_and_revoked_by_name(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    assert "No device" in sipmesh("user", "devices", "alice", "--topology", organisation.file).out
    users, now = Users(organisation.load().users_url), datetime.now(UTC)
    invitations = Invitations(users)
    for device in ("desk", "mobile"):
        wanted = Invitation("", "sip:alice@example.test", device, "", "", "", now, now + timedelta(days=1))
        invitations.take(invitations.invite(wanted)[1], "baresip", "192.0.2.7", now)
    users.close()
    shown = sipmesh("user", "devices", "alice", "--topology", organisation.file).out
    assert all(part in shown for part in ("desk", "mobile", "baresip", "192.0.2.7"))
    revoked = sipmesh("user", "devices", "alice", "--revoke", "desk", "--topology", organisation.file)
    assert (revoked.code, "can no longer log in" in revoked.out) == (0, True)
    left = json.loads(sipmesh("user", "devices", "alice", "--json", "--topology", organisation.file).out)
    assert [one["name"] for one in left] == ["mobile"]
    assert sipmesh("user", "devices", "alice", "--revoke", "desk", "--topology", organisation.file).code == 1
    assert sipmesh("user", "devices", "nobody", "--topology", organisation.file).code == 1
