"""Each change of an invitation or a device is a line in the audit log, without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.device_accounts import DeviceAccounts
from sipmesh.storage.users.invitations import Invitations
from sipmesh.storage.users.user_database import Users
from support.managed import build_managed
from support.network import BEGAN

Noted = list[tuple[AuditAct, dict[str, Any]]]
DAY = timedelta(days=1)
HERE, ALICE = "127.0.0.1", "alice@example.test"


@pytest.fixture
def noted() -> Noted:
    return []


@pytest.fixture
def accounts(tmp_path: Path, noted: Noted) -> Iterator[DeviceAccounts]:
    loaded = build_managed(tmp_path).load()
    users = Users(loaded.users_url)
    invitations = Invitations(users)
    yield DeviceAccounts(invitations, loaded.topology, lambda act, /, **about: noted.append((act, about)), lambda: None)
    users.close()


def test_each_change_is_noted_with_the_id_of_the_invitation(accounts: DeviceAccounts, noted: Noted) -> None:
    made, token = accounts.invite("alice", BEGAN, DAY)
    exchanged, ticket = accounts.exchange(token, "linphone", HERE, BEGAN)
    taken = accounts.take(ticket, "linphone", HERE, BEGAN)
    assert accounts.revoke_device("alice", "linphone") == ALICE
    assert accounts.revoke(accounts.invite("alice", BEGAN, DAY)[0].id).aor == f"sip:{ALICE}"
    lines = [(act, *(key for key in about if key != "user")) for act, about in noted]
    assert lines == [
        (AuditAct.INVITATION, "made", "expires"),
        (AuditAct.INVITATION, "opened", "client", "address"),
        (AuditAct.DEVICE, "added", "device", "client", "address", "invitation"),
        (AuditAct.DEVICE, "revoked"),
        (AuditAct.INVITATION, "made", "expires"),
        (AuditAct.INVITATION, "revoked"),
    ]
    assert {about["user"] for _, about in noted} == {ALICE}
    assert exchanged.id == made.id == noted[2][1]["invitation"]
    assert not [secret for secret in (token, ticket, taken.password) if secret in repr(noted)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"device": "My Phone"}, "no name of a device"),
        ({"mac": "00:15:65"}, "no MAC address"),
        ({"network": "10.0.0.1/8"}, "no network"),
        ({"network": "x"}, "no network"),
    ],
)
def test_what_is_refused_is_not_noted(accounts: DeviceAccounts, noted: Noted, given: Any, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        accounts.invite("alice", BEGAN, DAY, **given)
    assert not noted


def test_user_whose_name_a_file_of_a_phone_would_have_to_quote_is_not_invited(accounts: DeviceAccounts) -> None:
    """`;` would end a parameter of baresip, and `&` an attribute of XML."""
    for name in ("a;auth_pass=x", "a&b", "a%22b", "a$b"):
        with pytest.raises(OperatorError, match="by hand"):
            accounts.invite(f"{name}@example.test", BEGAN, DAY)


def test_mac_is_read_in_each_way_in_which_it_is_printed(accounts: DeviceAccounts) -> None:
    for written in ("00:15:65:AA:BB:CC", "001565aabbcc", "00-15-65-aa-bb-cc", "0015.65aa.bbcc"):
        assert accounts.invite("alice", BEGAN, DAY, client="yealink", mac=written)[0].mac == "001565aabbcc"


def test_host_that_does_not_lead_changes_nothing(accounts: DeviceAccounts, noted: Noted) -> None:
    def elsewhere() -> None:
        raise OperatorError("another host leads")

    token = accounts.invite("alice", BEGAN, DAY)[1]
    follower = DeviceAccounts(accounts._invitations, accounts._topology, accounts._note, elsewhere)
    for change in (
        lambda: follower.invite("alice", BEGAN, DAY),
        lambda: follower.take(token, "json", HERE, BEGAN),
        lambda: follower.exchange(token, "web", HERE, BEGAN),
        lambda: follower.revoke("1"),
        lambda: follower.revoke_device("alice", "x"),
    ):
        with pytest.raises(OperatorError, match="another host leads"):
            change()
    assert len(noted) == 1
    assert accounts.take(token, "json", HERE, BEGAN).login == "alice+json"
