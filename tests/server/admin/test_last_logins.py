"""The last login of each device, of those that several servers remember."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sipmesh.server.admin.last_logins import last_logins
from sipmesh.server.admin.replies import LoginReply, UserReply
from sipmesh.trust.role import Role

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DESK = LoginReply("c7", "192.0.2.7", "desk phone", "SHA-256", ("SHA-256",), NOON, "desk")


def _server(*logins: LoginReply) -> UserReply:
    return UserReply(
        "fe1", "pool1", Role.FRONT_END, NOON, ready=True, home="pool1", bindings=(), failures=(), logins=logins
    )


def test_newest_login_of_each_device_counts_whichever_server_has_it() -> None:
    later = replace(DESK, at=NOON + timedelta(hours=1), remote="192.0.2.8")
    own = replace(later, device="")
    mobile = replace(DESK, device="mobile")
    assert last_logins([_server(DESK, own), _server(later, mobile)]) == {"desk": later, "mobile": mobile}
    assert last_logins([_server(later), _server(DESK)]) == {"desk": later}
    assert last_logins([_server(own), _server()]) == {}
