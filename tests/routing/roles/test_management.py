"""Management carries no call: it only answers OPTIONS for itself."""

from __future__ import annotations

import pytest

from routing.messages import ALICES, BOB, MATE, NEW_LINK, TOKENS, request
from sipmesh.routing.identity.route_set import Names, take_place
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer, Drop, Outcome
from sipmesh.routing.roles.management import decide
from sipmesh.trust.code import Code

MGMT = "mgmt.example.test"
NAMES = Names(frozenset({MGMT}), frozenset())


def decided(method: str, uri: str, sender: Sender = MATE) -> Outcome:
    asked = request(method, uri)
    return decide(asked, take_place(asked, NAMES, TOKENS), sender, NAMES)


def test_options_for_the_server_itself_is_answered() -> None:
    outcome = decided("OPTIONS", f"sip:{MGMT}")
    assert isinstance(outcome, Answer)
    assert outcome.status == 200


@pytest.mark.parametrize(
    ("method", "uri"),
    [("INVITE", BOB), ("MESSAGE", f"sip:{MGMT}"), ("OPTIONS", f"sip:alice@{MGMT}"), ("OPTIONS", "sip:example.test")],
)
def test_every_other_request_is_refused(method: str, uri: str) -> None:
    outcome = decided(method, uri)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.code) == (403, Code.ROLE_NOT_ALLOWED)


@pytest.mark.parametrize("sender", [NEW_LINK, ALICES, MATE])
def test_ack_gets_no_answer(sender: Sender) -> None:
    assert isinstance(decided("ACK", BOB, sender), Drop)
