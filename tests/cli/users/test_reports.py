"""What the commands about devices print: the password never in a log, and the last login where it is known."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.cli.users.reports import DeviceLine, NewDevicePassword
from sipmesh.server.admin.replies import LoginReply
from sipmesh.storage.users.device import Device

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DESK = Device("sip:alice@example.test", "desk", "typed", NOON, "", "")


def test_password_is_not_in_the_representation() -> None:
    assert "s3cret" not in repr(NewDevicePassword("alice@example.test", "desk", "alice+desk", "s3cret"))


def test_line_has_the_last_login_or_none() -> None:
    login = LoginReply("c7", "192.0.2.7", "desk phone", "SHA-256", (), NOON, "desk")
    line = DeviceLine.of(DESK, login)
    assert (line.name, line.last_login, line.last_remote, line.last_agent) == ("desk", NOON, "192.0.2.7", "desk phone")
    assert DeviceLine.of(DESK, None).last_login is None
