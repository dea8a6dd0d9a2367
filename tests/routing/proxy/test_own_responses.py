"""The responses that the proxy makes itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import BOB, CONTACT, FE2, request, response, row
from sipmesh.routing.proxy.own_responses import WHY, explained, lost_status, overloaded
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
