"""What may happen to a request after it has arrived."""

from __future__ import annotations

from typing import get_args

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.server.proxy.flow import ReceivedRequest
from sipmesh.server.proxy.serving.events import Answered, Event, LoggedIn, LoginDue
from support.received import received


def test_arrival_is_an_event_too() -> None:
    assert set(get_args(Event)) == {*get_args(Answered), ReceivedRequest}


@pytest.mark.skipif(built() == "compiled", reason="what stands for a flow is no object of a compiled class")
def test_each_event_names_its_request() -> None:
    came = received(None, request())
    assert LoggedIn(came).received is LoginDue(came, "sip:alice@example.test").received is came
    assert all("received" in event.__dataclass_fields__ for event in get_args(Answered))
