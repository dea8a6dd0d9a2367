"""What a server decides about the requests of users whom it carries to their home pool."""

from __future__ import annotations

import pytest

from routing.messages import request, server
from sipmesh.routing.identity.dialog_token import FlowSide, PathToken, owner_hash
from sipmesh.routing.identity.route_set import NOWHERE, RouteSet
from sipmesh.routing.identity.sender import CarriedLogin, ClientSender, ServerSender, named_side
from sipmesh.routing.outcome import Answer, Drop, Forward
from sipmesh.routing.roles.access import carried, login_of
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

NOW = 7
ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
HERS = CarriedLogin(ALICE, "pool1.example.test", "fe1.example.test", 3, "sip:token@fe1.example.test;lr;ob", "path-a")
HIS = CarriedLogin(BOB, "pool2.example.test", "fe3.example.test", 4, "sip:token@fe3.example.test;lr;ob", "path-b")
ONE = ClientSender(NOW, 9, logins={ALICE: HERS})
BOBS_SIDE = FlowSide(NOW, 9, owner_hash(BOB))
TWO = ClientSender(NOW, 9, logins={ALICE: HERS, BOB: HIS})


def test_request_of_a_carried_user_goes_to_the_server_that_has_accepted_the_login() -> None:
    outcome = carried(request("MESSAGE", "sip:x@example.test", sender=ALICE), NOWHERE, ONE, NOW)
    assert isinstance(outcome, Forward)
    (target,) = outcome.targets
    assert isinstance(target, ServerTarget)
    assert target.carries is not None
    assert (target.names, outcome.identity) == (("fe1.example.test",), None)
    assert (target.carries.flow, target.carries.route, target.carries.path) == (3, HERS.route, "path-a")


def test_link_without_a_carried_login_and_a_register_are_decided_as_usual() -> None:
    asked = request("MESSAGE", "sip:x@example.test", sender=ALICE)
    assert carried(asked, NOWHERE, ClientSender(NOW, 9), NOW) is None
    assert carried(request("REGISTER", "sip:example.test", sender=ALICE), NOWHERE, ONE, NOW) is None


@pytest.mark.parametrize(
    ("sender", "who", "login"),
    [
        (ONE, BOB, HERS),  # the home pool judges From
        (TWO, BOB, HIS),
        (TWO, "sip:carol@example.test", None),
        (ClientSender(NOW, 9, frozenset({BOB}), logins={ALICE: HERS}), BOB, None),  # this server's own user
        (ClientSender(NOW, 9, frozenset({BOB}), logins={ALICE: HERS}), ALICE, HERS),
        (ClientSender(NOW, 9, owner_of=lambda _: BOB, logins={ALICE: HERS, BOB: HIS}), "sip:1@example.test", HIS),
    ],
)
def test_from_chooses_the_login(sender: ClientSender, who: str, login: CarriedLogin | None) -> None:
    assert login_of(request("MESSAGE", "sip:x@example.test", sender=who), NOWHERE, sender) == login


def test_token_in_the_route_chooses_the_login_inside_a_dialog() -> None:
    place = RouteSet(path=PathToken(BOBS_SIDE, named_side("pool2.example.test")))
    assert login_of(request("BYE", "sip:x@example.test", sender=ALICE), place, TWO) == HIS


def test_preferred_identity_chooses_the_login_behind_an_anonymous_from() -> None:
    asked = request("MESSAGE", "sip:x@example.test", sender="sip:anonymous@anonymous.invalid")
    assert login_of(asked, NOWHERE, TWO) is None
    asked.append("p-preferred-identity", f"<{BOB}>")
    assert login_of(asked, NOWHERE, TWO) == HIS


@pytest.mark.parametrize(
    ("pool", "method", "incarnation", "status"),
    [
        ("pool1.example.test", "MESSAGE", NOW, 0),
        ("pool2.example.test", "MESSAGE", NOW, 403),
        ("pool1.example.test", "REGISTER", NOW, 403),
        ("pool1.example.test", "MESSAGE", NOW + 1, 430),
        ("pool1.example.test", "ACK", NOW + 1, -1),
        ("pool2.example.test", "ACK", NOW, -1),
    ],
)
def test_flow_of_a_path_is_for_the_home_pool(pool: str, method: str, incarnation: int, status: int) -> None:
    place = RouteSet(path=PathToken(BOBS_SIDE, named_side("pool1.example.test")))
    sender = ServerSender(LinkKind.SERVER, server("fe9.example.test", Role.FRONT_END, pool))
    outcome = carried(request(method, BOB), place, sender, incarnation)
    if status > 0:
        assert isinstance(outcome, Answer)
        assert outcome.status == status
    elif status < 0:
        assert isinstance(outcome, Drop)
    else:
        assert isinstance(outcome, Forward)
        (target,) = outcome.targets
        assert isinstance(target, FlowTarget)
        assert (target.flow, target.owner, target.found) == (9, owner_hash(BOB), Found.PATH)


@pytest.mark.parametrize("method", ["BYE", "ACK"])
def test_token_of_a_record_route_leads_to_no_phone(method: str) -> None:
    """Both sides of a dialog see it, so its home pool may only have forwarded it."""
    place = RouteSet(path=PathToken(BOBS_SIDE, named_side("pool1.example.test"), is_recorded=True))
    sender = ServerSender(LinkKind.SERVER, server("fe9.example.test", Role.FRONT_END, "pool1.example.test"))
    outcome = carried(request(method, BOB), place, sender, NOW)
    assert isinstance(outcome, Drop) if method == "ACK" else isinstance(outcome, Answer) and outcome.status == 403
