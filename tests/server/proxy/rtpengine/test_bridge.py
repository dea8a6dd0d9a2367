"""One bridged branch: its sides, its dialogs, and the description in a body."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request
from sipmesh.cli.versions import built
from sipmesh.errors import RemoteError
from sipmesh.routing.media.bridging.leg import Leg
from sipmesh.server.proxy.rtpengine.bridge import Bridge, description_of, put_description
from support.descriptions import CLEAR, SDES, SDP, multipart, with_body

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


def bridge() -> tuple[Bridge, list[object]]:
    """A bridge, and what it has asked of rtpengine."""
    asked: list[object] = []
    control: Any = SimpleNamespace(ask=lambda command, _awaited: asked.append(command["command"]))
    return Bridge("k", Leg.BROWSER, Leg.CLEAR, request("INVITE").from_.tag or "", control), asked


def test_sides_of_a_request_follow_from_its_from_tag() -> None:
    found, _ = bridge()
    invite = request("INVITE")
    assert found.sides_of(invite) == (Leg.BROWSER, Leg.CLEAR)
    invite.replace("from", f"<{invite.from_.uri}>;tag=other")
    assert found.sides_of(invite) == (Leg.CLEAR, Leg.BROWSER)


def test_call_ends_with_its_last_dialog_and_once() -> None:
    found, asked = bridge()
    found.dialogs.update(("one", "two"))
    found.branch_ended()
    found.dialog_ended("one")
    assert not asked
    found.dialog_ended("two")
    found.branch_ended()
    assert asked == ["delete"]


def test_branch_without_a_dialog_ends_the_call() -> None:
    found, asked = bridge()
    found.branch_ended()
    assert (asked, found.is_over) == (["delete"], True)


def test_description_is_replaced_in_its_part_of_the_body() -> None:
    location = ("application/pidf+xml", b"<presence/>")
    message = with_body(request("INVITE"), multipart((SDP, SDES), location), "multipart/mixed;boundary=b1")
    put_description(message, b"v=0\r\n")
    assert message.body == multipart((SDP, b"v=0\r\n"), location)
    assert message.first("content-length") == str(len(message.body))


def test_body_with_two_descriptions_cannot_be_bridged() -> None:
    body = multipart((SDP, SDES), (SDP, CLEAR))
    with pytest.raises(RemoteError, match="2 session descriptions"):
        description_of(with_body(request("INVITE"), body, "multipart/alternative;boundary=b1"))
