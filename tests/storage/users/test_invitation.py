"""Who may use an invitation, by address and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.storage.users.invitation import Invitation

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("network", "address", "admitted"),
    [
        ("", "anything", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::1", False),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "", False),
        ("what somebody wrote into the database", "10.1.2.3", False),
    ],
)
def test_network_of_an_invitation(network: str, address: str, admitted: bool) -> None:  # noqa: FBT001
    made = Invitation("1", "sip:alice@example.test", "", "", "", network, NOW, NOW + timedelta(hours=1))
    assert made.admits(address, NOW) is admitted
    assert not made.admits(address, made.expires)
