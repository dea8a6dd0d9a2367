"""Contradictions: a computer of the realm that is no server, two, or one of another realm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from topology.world import Place

MANAGER = (
    "pools:\n",
    "pools:\n  - {name: mgmt.example.test, role: management, servers: [{name: mgmt.example.test, address: 127.0.0.8}]}\n",
)
RIGHT = "{principal: BOT1$@CORP.TEST, server: fe1.example.test}"


def written(machines: str, protocol: str = "est") -> tuple[str, str]:
    realm = f"kerberos: {{realm: CORP.TEST, keytab: secrets/k, machines: [{machines}]}}"
    console = f"console: {{listen: 8444, enrolment: {{protocols: [{protocol}], {realm}}}}}"
    return "federation:\n", f"{console}\nfederation:\n"


@pytest.mark.parametrize(
    ("machines", "field", "reason"),
    [
        ("{principal: BOT1$@EVIL.TEST, server: fe1.example.test}", "machines[0].principal", "is not of CORP.TEST"),
        (
            "{principal: BOT1$@CORP.TEST, server: fe9.example.test}",
            "machines[0].server",
            "is no server of the topology",
        ),
        ("{principal: BOT1$@CORP.TEST, server: mgmt.example.test}", "machines[0].server", "is a management server"),
        (f"{RIGHT}, {{principal: PC7$@CORP.TEST, server: fe1.example.test}}", "machines[1]", "has the account or the"),
        (f"{RIGHT}, {{principal: BOT1$@CORP.TEST, server: fe2.example.test}}", "machines[1]", "has the account or the"),
    ],
)
def test_computer_that_is_not_one_server_is_a_problem(place: Place, machines: str, field: str, reason: str) -> None:
    place.spoil(MANAGER, written(machines))
    [problem] = place.problems()
    assert (problem.field, reason in problem.reason) == (f"console.enrolment.kerberos.{field}", True), problem


def test_tickets_need_est(place: Place) -> None:
    place.spoil(MANAGER, written(RIGHT, "acme"))
    [problem] = place.problems()
    assert (problem.field, problem.reason) == ("console.enrolment.kerberos", "needs EST")


def test_each_computer_is_one_server(place: Place) -> None:
    place.spoil(MANAGER, written(f"{RIGHT}, {{principal: BOT2$@CORP.TEST, server: fe2.example.test}}"))
    enrolment = place.load().topology.console
    assert enrolment is not None
    assert enrolment.enrolment is not None
    assert enrolment.enrolment.kerberos is not None
    assert enrolment.enrolment.kerberos.server_of("BOT2$@CORP.TEST") == "fe2.example.test"
    assert enrolment.enrolment.kerberos.server_of("bot2$@CORP.TEST") is None


@pytest.mark.parametrize(
    "principal", ["ada@CORP.TEST", "HTTP/bot$@CORP.TEST", "BOT1$", "BOT1$@corp.test", "BOT1$\\n@CORP.TEST"]
)
def test_account_of_no_computer_is_refused(place: Place, principal: str) -> None:
    place.spoil(MANAGER, written(f'{{principal: "{principal}", server: fe1.example.test}}'))
    assert place.problems()
