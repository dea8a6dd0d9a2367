"""Who has forwarded a call: History-Info and Diversion, loops, and the bound."""

from __future__ import annotations

from itertools import pairwise

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.call_rules.diversion import (
    CAUSES,
    MOST_DIVERSIONS,
    Chain,
    Diversion,
    Reason,
    add_history,
    came_beside,
    chain_in,
    diversion_value,
    forwarders_in,
    refusal_of,
    uri_of,
)
from sipmesh.sip.message import respond

CAROL, NUMBER = "sip:carol@example.test", "tel:+49301234"
ONE = Diversion(BOB, CAROL, Reason.USER_BUSY)
TWO = (ONE, Diversion(CAROL, NUMBER, Reason.NO_ANSWER))


def test_history_names_each_user_and_why_and_goes_on_with_that_of_earlier_servers() -> None:
    invite = request("INVITE", BOB)
    add_history(invite, TWO, "example.test")
    assert invite.items("history-info") == [
        f"<{BOB}>;index=1",
        f"<{CAROL};cause=486>;index=1.1;mp=1",
        "<sip:+49301234@example.test;user=phone;cause=408>;index=1.1.1;mp=1.1",
    ]
    add_history(invite, (Diversion(ALICE, BOB, Reason.AWAY),), "example.test")
    assert invite.items("history-info")[3:] == [f"<{BOB};cause=503>;index=1.1.1.1;mp=1.1.1"]
    assert forwarders_in(invite) == [BOB, CAROL, "sip:+49301234@example.test"]


@pytest.mark.parametrize("entry", [f"<{BOB}>", f"<{BOB}>;index=one", f"<{BOB}>;index=1.", f"<{BOB}>;index"])
def test_history_without_an_index_begins_again(entry: str) -> None:
    invite = request("INVITE", BOB)
    invite.append("history-info", entry)
    add_history(invite, (ONE,), "example.test")
    assert invite.items("history-info")[1] == f"<{BOB}>;index=1"


def test_chain_of_a_redirection_is_read_back() -> None:
    headers = [("diversion", diversion_value(one)) for one in reversed(TWO)]
    moved = respond(request("INVITE", BOB), 302, headers=headers)
    assert chain_in(moved, NUMBER) == TWO
    assert chain_in(respond(request("INVITE", BOB), 302), NUMBER) == ()
    odd = respond(request("INVITE", BOB), 302, headers=[("diversion", f"<{BOB}>;reason=whim")] * 20)
    found = chain_in(odd, CAROL)
    assert (len(found), found[0].reason) == (MOST_DIVERSIONS, Reason.DEFLECTION)


LOOPS = [
    (ONE, Diversion(CAROL, BOB, Reason.AWAY)),
    (Diversion(BOB, BOB, Reason.AWAY),),
    (ONE, Diversion(CAROL, ALICE, Reason.AWAY), Diversion(BOB, NUMBER, Reason.AWAY)),
]


@pytest.mark.parametrize("chain", LOOPS)
def test_user_forwards_a_call_once(chain: Chain) -> None:
    assert "a loop" in refusal_of(chain, request("INVITE", BOB))
    assert refusal_of(TWO, request("INVITE", BOB)) == ""


@pytest.mark.parametrize("name", ["history-info", "diversion"])
def test_user_whom_earlier_servers_name_does_not_forward_again(name: str) -> None:
    invite = request("INVITE", CAROL)
    for entry in (f"<{BOB};x=y>;index=1", f"<{CAROL}>;index=1.1"):
        invite.append(name, entry)
    assert "a loop" in refusal_of((Diversion(CAROL, BOB, Reason.AWAY),), invite)
    assert "a loop" in refusal_of((Diversion(BOB, NUMBER, Reason.AWAY),), invite)
    other = refusal_of((Diversion(CAROL, NUMBER, Reason.AWAY),), invite)
    assert other == "" if name == "history-info" else "a loop" in other


def test_call_is_forwarded_so_often_and_no_further() -> None:
    users = [f"sip:u{number}@example.test" for number in range(MOST_DIVERSIONS + 2)]
    chain = tuple(Diversion(one, other, Reason.AWAY) for one, other in pairwise(users))
    assert refusal_of(chain[:-1], request("INVITE", BOB)) == ""
    assert "5 times" in refusal_of(chain, request("INVITE", BOB))
    before = request("INVITE", BOB)
    for number in range(MOST_DIVERSIONS):
        before.append("diversion", f"<sip:{number}@partner.test>")
    assert "5 times" in refusal_of((ONE,), before)


def test_each_reason_has_a_cause_and_a_number_its_uri() -> None:
    assert CAUSES.keys() == set(Reason)
    assert uri_of(NUMBER, "example.test") == "sip:+49301234@example.test;user=phone"
    assert uri_of(BOB, "example.test") == BOB


@pytest.mark.parametrize(("reason", "is_said"), [(Reason.FOLLOW_ME, True), (Reason.UNCONDITIONAL, False)])
def test_next_server_learns_who_rings_beside(reason: Reason, *, is_said: bool) -> None:
    invite = request("INVITE")
    assert not came_beside(invite)
    add_history(invite, (Diversion(ALICE, BOB, reason),), "example.test")
    assert came_beside(invite) is is_said
