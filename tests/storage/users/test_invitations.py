"""An invitation gives one device one password, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.call_rules.call_rules import CallRules, GroupOrder
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.storage.users.call_rule_rows import set_call_rules
from sipmesh.storage.users.device_rows import MOST_DEVICES
from sipmesh.storage.users.invitation import Invitation
from sipmesh.storage.users.invitations import MOST_OPEN, TICKET_LIFETIME, Invitations, NotOpenError, Taken
from sipmesh.storage.users.user_database import Users
from storage.databases import shell

ALICE, HERE = "sip:alice@example.test", "127.0.0.1"
NOW = datetime(2046, 12, 1, 12, tzinfo=UTC)
RACERS = 4


def wanted(aor: str = ALICE, *, device: str = "", network: str = "", hours: int = 24) -> Invitation:
    return Invitation("", aor, device, "", "", network, NOW, NOW + timedelta(hours=hours))


@pytest.fixture(name="invitations")
def _invitations(users: Users) -> Invitations:
    users.add(ALICE, "alice-pw")
    return Invitations(users)


def test_group_has_no_invitations(invitations: Invitations, users: Users) -> None:
    users.add("sales@example.test", "some-pw")
    with users.changing("sip:sales@example.test") as (db, _):
        set_call_rules(db, "sip:sales@example.test", CallRules(order=GroupOrder.ALL))
    with pytest.raises(OperatorError, match="no device logs in as one"):
        invitations.invite(wanted("sip:sales@example.test"))
    invitations.invite(wanted())


def known(server: Users) -> Verifier:
    server.refresh()
    verifier = server.verifier(ALICE)
    assert verifier is not None
    return verifier


def test_device_gets_a_password_of_its_own_beside_that_of_the_user(invitations: Invitations, server: Users) -> None:
    before = known(server)
    made, token = invitations.invite(wanted(device="desk"))
    assert known(server) == before
    taken = invitations.take(token, "baresip", HERE, NOW)
    assert (taken.login, taken.device.name, taken.device.client) == ("alice+desk", "desk", "baresip")
    assert (taken.device.invitation, taken.device.address, taken.device.created) == (made.id, HERE, NOW)
    after = known(server)
    assert (after.ha1, after.generation) == (before.ha1, before.generation)
    for algorithm in (Algorithm.SHA_256, Algorithm.MD5):
        right = ha1("alice+desk", "example.test", taken.password, algorithm)
        assert after.devices["desk"].ha1[algorithm] == right
    assert after.counts(before.generation)
    assert after.counts(after.devices["desk"].generation)


@pytest.mark.parametrize("exchanges", [False, True])
def test_invitation_is_used_up_by_its_first_use(invitations: Invitations, *, exchanges: bool) -> None:
    _, token = invitations.invite(wanted())
    invitations.look(token, HERE, NOW)
    if exchanges:
        _, token_of_phone = invitations.exchange(token, "linphone", HERE, NOW)
        with pytest.raises(NotOpenError):
            invitations.exchange(token_of_phone, "linphone", HERE, NOW)
        invitations.take(token_of_phone, "linphone", HERE, NOW)
        with pytest.raises(NotOpenError):
            invitations.take(token_of_phone, "linphone", HERE, NOW)
    else:
        invitations.take(token, "linphone", HERE, NOW)
    for use in (invitations.take, invitations.exchange):
        with pytest.raises(NotOpenError):
            use(token, "linphone", HERE, NOW)


@pytest.mark.parametrize("use", ["take", "exchange"])
def test_of_servers_that_use_an_invitation_at_the_same_instant_one_gets_it(
    invitations: Invitations, url: str, use: str
) -> None:
    """Each has a connection of its own to the same database."""
    _, token = invitations.invite(wanted())
    others = [Users(url, in_memory=False) for _ in range(RACERS)]
    begins = Barrier(RACERS)

    def race(users: Users) -> object:
        begins.wait()
        try:
            return getattr(Invitations(users), use)(token, "baresip", HERE, NOW)
        except NotOpenError:
            return None

    with ThreadPoolExecutor(RACERS) as pool:
        results = list(pool.map(race, others))
    for users in others:
        users.close()
    assert len([one for one in results if one is not None]) == 1
    assert len(invitations.devices(ALICE)) == (use == "take")


@pytest.mark.parametrize(
    ("address", "at"),
    [("192.0.2.1", NOW), (HERE, NOW + timedelta(hours=24)), ("::1", NOW), ("not an address", NOW)],
)
def test_invitation_is_for_its_network_and_its_time(invitations: Invitations, address: str, at: datetime) -> None:
    _, token = invitations.invite(wanted(network="127.0.0.0/8"))
    for use in (invitations.take, invitations.exchange):
        with pytest.raises(NotOpenError):
            use(token, "web", address, at)
    last = NOW + timedelta(hours=24, microseconds=-1)
    assert isinstance(invitations.take(token, "web", "::ffff:127.0.0.1", last), Taken)


def test_ticket_is_valid_for_minutes(invitations: Invitations) -> None:
    _, token = invitations.invite(wanted())
    exchanged, ticket = invitations.exchange(token, "web", HERE, NOW)
    assert exchanged.expires == NOW + TICKET_LIFETIME
    with pytest.raises(NotOpenError):
        invitations.take(ticket, "web", HERE, NOW + TICKET_LIFETIME)
    assert invitations.take(ticket, "web", HERE, NOW + TICKET_LIFETIME - timedelta(seconds=1)).device.name == "web"


@pytest.mark.parametrize("end", ["remove", "disable", "revoke"])
def test_invitation_of_a_removed_or_disabled_user_or_a_revoked_one_is_worth_nothing(
    invitations: Invitations, users: Users, end: str
) -> None:
    """A user of the same name who is added later does not get it either."""
    made, token = invitations.invite(wanted())
    if end == "remove":
        users.remove(ALICE)
        users.add(ALICE, "another alice")
    elif end == "disable":
        users.disable(ALICE, NOW)
        with pytest.raises(OperatorError, match="user enable alice"):
            invitations.invite(wanted())
        users.enable(ALICE)
    else:
        assert invitations.revoke(made.id) == made
    with pytest.raises(NotOpenError):
        invitations.take(token, "web", HERE, NOW)
    assert not invitations.open_ones("", NOW)
    _, token = invitations.invite(wanted())
    invitations.take(token, "web", HERE, NOW)


def test_devices_of_a_disabled_user_are_not_sent_to_servers_until_the_user_is_enabled(
    invitations: Invitations, users: Users, server: Users
) -> None:
    invitations.take(invitations.invite(wanted(device="desk"))[1], "web", HERE, NOW)
    users.disable(ALICE, NOW)
    assert not known(server).devices
    users.enable(ALICE)
    assert set(known(server).devices) == {"desk"}
    users.remove(ALICE)
    users.add(ALICE, "another alice")
    assert not known(server).devices


def test_revoked_device_ends_its_own_logins_and_no_others(invitations: Invitations, server: Users) -> None:
    for name in ("desk", "mobile"):
        invitations.take(invitations.invite(wanted(device=name))[1], "web", HERE, NOW)
    before = known(server)
    invitations.revoke_device(ALICE, "desk")
    after = known(server)
    assert not after.counts(before.devices["desk"].generation)
    assert after.counts(before.devices["mobile"].generation)
    assert after.counts(before.generation)
    with pytest.raises(OperatorError, match="user devices alice"):
        invitations.revoke_device(ALICE, "desk")


def test_new_password_of_the_user_keeps_the_devices(invitations: Invitations, users: Users, server: Users) -> None:
    invitations.take(invitations.invite(wanted())[1], "web", HERE, NOW)
    before = known(server)
    users.set_password(ALICE, "another")
    after = known(server)
    assert not after.counts(before.generation)
    assert after.devices == before.devices


def test_limits(invitations: Invitations) -> None:
    for _ in range(MOST_OPEN):
        invitations.invite(wanted())
    with pytest.raises(OperatorError, match=f"{MOST_OPEN} open invitations"):
        invitations.invite(wanted())
    later = Invitation("", ALICE, "", "", "", "", NOW + timedelta(days=2), NOW + timedelta(days=3))
    for _ in range(MOST_DEVICES):  # those that have expired make room
        invitations.take(invitations.invite(later)[1], "web", HERE, later.created)
    assert {device.name for device in invitations.devices(ALICE)} >= {"web", "web-2", f"web-{MOST_DEVICES}"}
    with pytest.raises(OperatorError, match=f"{MOST_DEVICES} devices"):
        invitations.invite(later)


def test_device_name_that_is_taken_is_refused_with_the_command_that_revokes_it(invitations: Invitations) -> None:
    first, second = (invitations.invite(wanted(device="desk"))[1] for _ in range(2))
    invitations.take(first, "web", HERE, NOW)
    with pytest.raises(OperatorError, match="--revoke desk"):
        invitations.invite(wanted(device="desk"))
    assert invitations.take(second, "web", HERE, NOW).login == "alice+desk-2"


def test_database_has_no_secret(invitations: Invitations, url: str) -> None:
    token = invitations.invite(wanted())[1]
    ticket = invitations.exchange(invitations.invite(wanted())[1], "web", HERE, NOW)[1]
    taken = invitations.take(invitations.invite(wanted())[1], "web", HERE, NOW)
    with shell(url) as db:
        tables = ("users", "users_devices", "users_invitations")
        rows = [str(row) for table in tables for row in db.exec_driver_sql(f"SELECT * FROM {table}").all()]  # noqa: S608
    assert not [row for row in rows for secret in (token, ticket, taken.password) if secret in row]
    assert taken.password not in repr(taken)


def test_copy_of_the_database_has_no_open_invitation(invitations: Invitations, users: Users, tmp_path: object) -> None:
    """A backup may be from before the use of an invitation, which must not be open again after a restore."""
    token = invitations.invite(wanted())[1]
    invitations.take(invitations.invite(wanted())[1], "web", HERE, NOW)
    other = Users(f"sqlite:///{tmp_path}/copy.db")
    users.copy_to(other)
    copied = Invitations(other)
    assert [device.name for device in copied.devices(ALICE)] == ["web"]
    with pytest.raises(NotOpenError):
        copied.take(token, "web", HERE, NOW)
    other.close()
