"""What the report on one user concludes from the database and from the servers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.cli.control_client import FromServer
from sipmesh.cli.place import Place
from sipmesh.cli.users.user_report import MOST_REFUSALS, UserReport, explain_user, report_of
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.admin.replies import (
    BindingReply,
    ClientRefusalReply,
    LoginFailureReply,
    LoginReply,
    UserReply,
)
from sipmesh.trust.role import Role
from support.managed import Managed
from support.network import FE1, FE2, POOL
from support.prepared import answered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALICE, DORA = "alice@example.test", "dora@example.test"
CONTACT = "sip:alice@192.0.2.7:5061"


def failure(flaw: str, minutes: int = 0, user: str = ALICE) -> LoginFailureReply:
    at = NOON + timedelta(minutes=minutes)
    return LoginFailureReply(user, flaw.replace("-", " "), flaw, "192.0.2.9:4711", "phone", at, at, 1, closed=False)


def binding(server: str, link: str | None) -> BindingReply:
    return BindingReply(ALICE, server, link, None, CONTACT, "phone", NOON + timedelta(days=10_000))


def reply(
    server: str,
    *bindings: BindingReply,
    home: str | None = POOL,
    ready: bool = True,
    role: Role = Role.FRONT_END,
    failures: tuple[LoginFailureReply, ...] = (),
) -> UserReply:
    return UserReply(server, POOL, role, NOON, ready, home, bindings, failures)


@pytest.fixture(name="place")
def _place(example: Organisation) -> Place:
    return Place(example.file)


def asked(place: Place, user: str, *replies: UserReply) -> UserReport:
    """The report on *user*, with the replies of servers."""
    with answered(place.state, {one.server: {"user": one} for one in replies}):
        return report_of(user, place.load(), place)


@pytest.mark.parametrize(
    ("flaw", "remedy"),
    [
        ("wrong-password", f"sipmesh user password {ALICE}"),
        ("unknown-user", f"log in again as {ALICE}"),
        ("wrong-user-name", "set it to alice"),
        ("wrong-algorithm", "--digest sha-256 --digest md5"),
        ("other-home", f"see why a server of the pool {POOL} has refused the login: {FE1}, {FE2}"),
        ("malformed", "update its firmware"),
    ],
)
def test_each_flaw_of_a_login_has_its_remedy_once(flaw: str, remedy: str) -> None:
    failures = [FromServer(FE1, failure(flaw)), FromServer(FE2, failure(flaw))]
    report = UserReport(ALICE, exists=True, pool=POOL, servers=[FE1, FE2], asked=[FE1, FE2], failures=failures)
    [told] = report.remedies()
    assert told.endswith(remedy)


def test_flaw_of_a_newer_release_has_no_remedy() -> None:
    report = UserReport(ALICE, exists=True, asked=[FE1], failures=[FromServer(FE1, failure("new-flaw"))])
    assert list(report.remedies()) == []


def test_server_without_a_reply_has_to_be_asked_on_its_own_machine(place: Place) -> None:
    report = asked(place, ALICE, reply(FE1, binding(FE1, "s1")))
    assert (report.asked, report.not_asked) == ([FE1], [FE2])
    assert list(report.remedies()) == [f"run this command on the machine of {FE2} also: sipmesh explain {ALICE}"]


def test_registered_user_with_all_servers_asked_needs_no_remedy(place: Place) -> None:
    report = asked(place, ALICE, reply(FE1, binding(FE1, "s1")), reply(FE2))
    assert (report.exists, report.pool, report.digest) == (True, POOL, ["SHA-256", "MD5"])
    assert list(report.remedies()) == []


def test_binding_of_a_pool_is_listed_once_with_the_link_that_its_server_knows(place: Place) -> None:
    report = asked(place, ALICE, reply(FE1, binding(FE2, None)), reply(FE2, binding(FE2, "s7"), binding(FE2, "s7")))
    assert [(one.server, one.link) for one in report.bindings] == [(FE2, "s7")]


def test_failures_of_all_servers_are_listed_with_the_latest_first(place: Place) -> None:
    early, late = failure("wrong-password", 1), failure("malformed", 2)
    report = asked(place, ALICE, reply(FE1, failures=(early,)), reply(FE2, failures=(late,)))
    assert [(one.server, one.value.class_) for one in report.failures] == [
        (FE2, "malformed"),
        (FE1, "wrong-password"),
    ]


@pytest.mark.parametrize(
    ("user", "home", "ready", "fault"),
    [
        (ALICE, POOL, True, ""),
        (ALICE, None, True, f"{FE1}: the server does not know this user yet; see: sipmesh status"),
        (DORA, POOL, True, f"{FE1}: the server still knows this user; see: sipmesh status"),
        (ALICE, None, False, f"{FE1}: the server has not received the users from management yet"),
    ],
)
def test_server_that_differs_from_the_database_is_a_fault(
    place: Place, user: str, home: str | None, *, ready: bool, fault: str
) -> None:
    assert asked(place, user, reply(FE1, home=home, ready=ready)).faults == ([fault] if fault else [])


def test_server_without_users_is_not_counted_as_asked(place: Place) -> None:
    assert asked(place, ALICE, reply(FE1, role=Role.APPLICATION)).asked == []


def test_server_that_refuses_the_question_is_a_fault(place: Place) -> None:
    with answered(place.state, {FE1: {"user": OperatorError("not today")}}):
        report = report_of(ALICE, place.load(), place)
    assert report.asked == []
    assert report.faults == [f"{FE1}: not today"]


@pytest.mark.parametrize(("home", "exists"), [(POOL, True), (None, False)])
def test_without_the_database_the_servers_know_the_user(managed: Managed, home: str | None, *, exists: bool) -> None:
    """On the machine of a managed server, only that server knows who is a user."""
    managed.join(FE1)
    place = Place(managed.folder(FE1) / "topology.yaml")
    with answered(place.state, {FE1: {"user": reply(FE1, home=home)}}):
        report = report_of(DORA, place.load(), place)
    assert (report.exists, report.pool, report.digest) == (exists, home or "", None)


def test_unknown_user_is_reported_with_a_similar_name(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain_user("allice@example.test", place, as_json=False) is False
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "allice@example.test is not a user."
    assert told[1] == "Not registered: no front end runs here."
    assert told[2] == "  → did you mean alice@example.test? If not, add the user: sipmesh user add allice@example.test"


def test_json_has_the_remedies_and_the_servers_that_were_not_asked(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with answered(place.state, {FE1: {"user": reply(FE1, binding(FE1, "s1"))}}):
        assert explain_user(ALICE, place, as_json=True) is True
    told = json.loads(capsys.readouterr().out)
    assert (told["user"], told["exists"], told["pool"], told["asked"], told["not_asked"]) == (
        ALICE,
        True,
        POOL,
        [FE1],
        [FE2],
    )
    assert told["registrations"][0]["link"] == "s1"
    assert len(told["remedies"]) == 1


def test_operator_reads_devices_failures_and_remedies(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    replies = {FE1: {"user": reply(FE1, binding(FE1, "s1"), failures=(failure("wrong-password"),))}}
    with answered(place.state, replies):
        assert explain_user(ALICE, place, as_json=False) is True
    told = capsys.readouterr().out
    assert f"{ALICE} is a user, home pool {POOL}, digest SHA-256 or MD5." in told
    assert CONTACT in told
    assert "wrong password" in told
    assert f"→ set a new password, here and on the phone: sipmesh user password {ALICE}" in told


def failed_link(remote: str, reason: str = "plain-sip") -> FromServer[ClientRefusalReply]:
    return FromServer(FE1, ClientRefusalReply(reason, "seen", remote, NOON, NOON, 1))


@pytest.mark.parametrize("address", ["192.0.2.9:4711", "[2001:db8::9]:4711"])
def test_failed_links_from_the_addresses_of_a_user_are_its_own(address: str) -> None:
    """Of others nothing is shown, since each may be of any user."""
    here = address.rpartition(":")[0].strip("[]")
    bound = BindingReply(ALICE, FE1, "c1", address, CONTACT, "phone", None)
    found = [failed_link("192.0.2.77"), failed_link(here)]
    report = UserReport(ALICE, exists=True, asked=[FE1], bindings=[bound], refusals=found)
    assert [row.value.remote for row in report.failed_links] == [here]
    assert list(report.remedies()) == [], "the user is registered"
    away = UserReport(ALICE, exists=True, asked=[FE1], logins=[last_login(here)], refusals=found)
    assert [row.value.remote for row in away.failed_links] == [here]
    assert any("transport of the phone to TLS" in remedy for remedy in away.remedies())


@pytest.mark.parametrize(("count", "shown"), [(MOST_REFUSALS, MOST_REFUSALS), (MOST_REFUSALS + 1, MOST_REFUSALS)])
def test_for_a_user_without_an_address_the_newest_failed_links_of_all_are_shown(count: int, shown: int) -> None:
    found = [failed_link(f"192.0.2.{number}") for number in range(count)]
    assert len(UserReport(ALICE, exists=True, asked=[FE1], refusals=found).failed_links) == shown


def last_login(remote: str) -> FromServer[LoginReply]:
    return FromServer(FE1, LoginReply("c1", remote, "desk phone", "MD5", ("SHA-256", "MD5"), NOON))


def test_user_is_found_by_an_alias_and_in_any_case(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with place.users() as users:
        users.add_alias(ALICE, "+49 30 123")
        users.add_alias(ALICE, "info")
    told = replace(reply(FE1), user=ALICE, aliases=("tel:+4930123",), logins=[last_login("192.0.2.9").value])
    for name in ("tel:+4930123", "+49-30-123", "info@example.test", "ALICE@example.test"):
        with answered(place.state, {FE1: {"user": told}}) as questions:
            assert not explain_user(name, place, as_json=False)
        assert questions[0]["user"] == f"sip:{ALICE}"
        printed = capsys.readouterr().out
        assert f"{ALICE} is a user" in printed
        assert "Aliases: info@example.test, tel:+4930123" in " ".join(printed.split())
        assert "the phone has not used SHA-256" in printed


def test_on_another_machine_the_server_says_whose_alias_it_is(managed: Managed) -> None:
    managed.join(FE1)
    place = Place(managed.folder(FE1) / "topology.yaml")
    told = replace(reply(FE1), user=ALICE, aliases=("tel:+4930123",))
    with answered(place.state, {FE1: {"user": told}}):
        report = report_of("sip:+4930123@tel.invalid", place.in_force(), place)
    assert (report.user, report.aliases, report.exists) == (ALICE, ["tel:+4930123"], True)
