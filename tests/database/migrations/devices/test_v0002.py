"""Invitations for a certificate: an invitation of a release that knows none gives a password."""

from __future__ import annotations

from database.migrations.adoption import differences, migrate
from sipmesh.database.schema import DEVICES
from sipmesh.storage.users.device_tables import SCHEMA
from storage.databases import shell

OF_BEFORE = """INSERT INTO users_invitations
  (id, secret_sha256, is_ticket, aor, device, client, mac, network, remote, created, expires)
  VALUES ('i', 's', FALSE, 'sip:alice@example.test', '', '', '', '', FALSE, '2026-12-01', '2026-12-02')"""


def test_invitation_of_an_earlier_release_gives_a_password(url: str) -> None:
    migrate(url, DEVICES)
    assert differences(url, DEVICES, SCHEMA) == []
    with shell(url) as db:
        db.exec_driver_sql(OF_BEFORE)
        assert db.exec_driver_sql("SELECT certificate FROM users_invitations").scalars().all() in ([0], [False])
