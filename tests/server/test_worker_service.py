"""What a worker has of the control plane, and what it takes from its supervisor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routing.messages import request, response
from sipmesh.distribution.event import EVENT
from sipmesh.server.worker_service import RemoteControlPlane, _certificates


class Handed:
    """The siblings of a worker: what was handed on to the supervisor."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        siblings: Any = SimpleNamespace(to_supervisor=lambda _link, message: self.messages.append(message))
        self.control_plane = RemoteControlPlane(siblings)


@pytest.mark.parametrize(("event", "served"), [(EVENT, True), ("presence", False), ("", False)])
def test_requests_of_our_event_package_are_for_the_supervisor_and_no_others(event: str, *, served: bool) -> None:
    handed, nobody = Handed(), SimpleNamespace()
    asked = request("SUBSCRIBE", "sip:fe1.example.test", *([("event", event)] if event else []))
    link: Any = nobody
    peer: Any = nobody
    assert handed.control_plane.requested(link, peer, asked) is served
    assert handed.messages == ([asked] if served else [])


def test_response_to_a_request_of_the_supervisor_is_handed_on() -> None:
    handed, came = Handed(), response(200)
    link: Any = SimpleNamespace()
    handed.control_plane.responded(link, came)
    assert handed.messages == [came]


def test_worker_leaves_links_and_crls_to_its_supervisor() -> None:
    handed = Handed()
    link: Any = SimpleNamespace()
    handed.control_plane.begin()
    handed.control_plane.link_up(link)
    handed.control_plane.tick()
    handed.control_plane.crls_changed(frozenset())
    handed.control_plane.link_down(link, "closed")
    handed.control_plane.close()
    assert handed.messages == []


def test_revoked_certificates_are_named_by_issuer_and_serial_number() -> None:
    assert _certificates({"revoked": [["6973737565", 7]]}) == [(b"issue", 7)]
