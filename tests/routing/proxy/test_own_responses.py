"""The responses that the proxy makes itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import BOB, CONTACT, FE2, request, response, row
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.proxy.own_responses import (
    WHY,
    explained,
    lost_status,
    of_beside,
    overloaded,
    ring_time_in,
    wants_beside,
)
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target
from sipmesh.trust.evidence import LinkKind

PHONE = FlowTarget(1, b"8 octets", CONTACT)
SERVER = ServerTarget(("a.test",), LinkKind.SERVER, BOB)


@pytest.mark.parametrize("status", WHY)
def test_response_of_ours_says_what_has_happened(status: int) -> None:
    """RFC 3261 section 20.43: the warn-agent is a pseudonym."""
    made = explained(request(), status)
    assert made.status == status
    assert made.values("warning") == [f'399 sipmesh "{WHY[status]}"']


@pytest.mark.parametrize(
    ("reason", "status", "seen"),
    [(Reason.FOLLOW_ME, 603, 486), (Reason.FOLLOW_ME, 302, 486), (Reason.HUNT_GROUP, 603, 486)],
)
def test_user_who_rings_beside_speaks_for_no_other_user(reason: Reason, status: int, seen: int) -> None:
    chain = (Diversion("sip:alice@example.test", "sip:bob@example.test", reason),)
    assert of_beside(request("INVITE"), chain, response(status)).status == seen


@pytest.mark.parametrize(("given", "seconds"), [("20", 20), ("999", 180), ("", 0), ("x", 0), ("1000", 0)])
def test_ring_time_is_bounded_and_a_number(given: str, seconds: int) -> None:
    asked = response(181, ("contact", f"<sip:carol@example.test>;expires={given}"))
    assert ring_time_in(asked) == seconds


@pytest.mark.parametrize("seconds", [0, 20])
def test_first_server_learns_what_rings_beside_and_for_how_long(seconds: int) -> None:
    follow = "<sip:bob@example.test>;reason=follow-me;counter=1"
    redirection = response(302, ("contact", "<sip:carol@example.test>"), ("diversion", follow))
    asked = wants_beside(request("INVITE"), redirection, seconds)
    assert (asked.status, asked.values("diversion"), ring_time_in(asked)) == (181, [follow], seconds)


def test_overloaded_keeps_the_retry_after_of_our_servers_and_the_original() -> None:
    came = response(503, ("retry-after", "60"))
    for is_ours in (False, True):
        changed = overloaded(came, is_ours=is_ours)
        assert (changed.status, changed.values("retry-after")) == (500, ["60"] if is_ours else [])
    assert (came.status, came.count("retry-after")) == (503, 1)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (PHONE, 480),
        (RemoteFlowTarget(row(server=FE2), CONTACT), 480),
        (replace(PHONE, found=Found.TOKEN), 430),
        (replace(PHONE, found=Found.DIALOG), 430),
        (replace(PHONE, found=Found.DIALOG, past=1), 503),
        (SERVER, 503),
        (replace(SERVER, asks=True), 404),
    ],
)
def test_status_of_a_lost_way_depends_on_how_it_was_found(target: Target, status: int) -> None:
    assert lost_status(target) == status
