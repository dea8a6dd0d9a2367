"""What no user may send to a phone."""

from __future__ import annotations

import pytest

from routing.messages import ALICES, BOB, FROM_BOT, FROM_EDGE, FROM_PARTNER, MATE, request
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.roles.users_requests import refused_of_users
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
