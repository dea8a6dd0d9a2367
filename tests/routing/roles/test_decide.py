"""Each role decides by its own facts."""

from __future__ import annotations

import pytest

from routing.messages import AT_EDGE, EDGE, FE1, FRONT_END, MATE, TOKENS, request
from sipmesh.routing.identity.route_set import Names, take_place
from sipmesh.routing.outcome import Answer
from sipmesh.routing.roles.decide import Facts, decide

MGMT = Names(frozenset({"mgmt.example.test"}), frozenset())


@pytest.mark.parametrize(
    ("facts", "names", "host", "allow"),
    [
        (FRONT_END, FRONT_END.names, FE1, "REGISTER"),
        (AT_EDGE, AT_EDGE.names, EDGE, "INVITE"),
        (MGMT, MGMT, "mgmt.example.test", "OPTIONS"),
    ],
    ids=["front-end", "edge", "management"],
)
def test_options_for_the_server_itself_is_answered_by_its_role(
    facts: Facts, names: Names, host: str, allow: str
) -> None:
    asked = request("OPTIONS", f"sip:{host}")
    outcome = decide(asked, take_place(asked, names, TOKENS), MATE, facts)
    assert isinstance(outcome, Answer)
    assert outcome.status == 200
    assert allow in str(outcome.headers)
