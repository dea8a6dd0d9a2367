"""What no user may send to a phone."""

from __future__ import annotations

import pytest

from routing.messages import ALICES, BOB, FROM_BOT, FROM_EDGE, FROM_PARTNER, MATE, request
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.outcome import Answer
from sipmesh.routing.roles.users_requests import refused_of_users, refused_unsolicited
from sipmesh.sip.message import Request
from support.descriptions import with_body

ANOTHER_AUTHOR = with_body(request("MESSAGE", BOB), b"From: <sip:x@y.test>\r\n\r\n\r\nhello", "message/cpim")
ELSEWHERE = with_body(request("MESSAGE", BOB), b"\r\n", "message/external-body")
REFUSED = [(request("NOTIFY"), 481), (ANOTHER_AUTHOR, 403), (ELSEWHERE, 415)]


@pytest.mark.parametrize("sender", [ALICES, FROM_EDGE, FROM_PARTNER])
@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_users_are_refused(asked: Request, status: int, sender: Sender) -> None:
    refused = refused_of_users(asked, sender)
    assert refused is not None
    assert refused.status == status
    assert refused_of_users(with_body(request("MESSAGE", BOB), b"hello", "text/plain"), sender) is None


@pytest.mark.parametrize("sender", [MATE, FROM_BOT])
@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_servers_and_applications_are_not(asked: Request, status: int, sender: Sender) -> None:
    assert refused_of_users(asked, sender) is None


@pytest.mark.parametrize("sender", [ALICES, FROM_PARTNER, FROM_EDGE])
def test_notify_without_a_subscription_is_refused(sender: Sender) -> None:
    answer = refused_unsolicited(request("NOTIFY"), sender)
    assert isinstance(answer, Answer)
    assert answer.status == 481
    assert refused_unsolicited(request("MESSAGE"), sender) is None


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        ("refer", True),
        ("Dialog;id=1", True),
        ("conference", True),
        ("talk", False),
        ("refer, talk", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("sender", [ALICES, FROM_PARTNER, FROM_EDGE])
def test_notify_inside_a_dialog_tells_only_a_state(sender: Sender, event: str, *, passes: bool) -> None:
    """With `talk`, many phones answer the call that rings."""
    answer = refused_unsolicited(request("NOTIFY", BOB, ("event", event), to_tag="2"), sender)
    assert (answer is None) is passes


@pytest.mark.parametrize("sender", [MATE, FROM_BOT])
def test_notify_of_a_server_of_ours_passes(sender: Sender) -> None:
    assert refused_unsolicited(request("NOTIFY"), sender) is None
    assert refused_unsolicited(request("NOTIFY", BOB, ("event", "talk"), to_tag="2"), sender) is None
