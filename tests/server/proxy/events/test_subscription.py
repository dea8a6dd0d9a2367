"""The dialog of one subscription."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.events.packages import PRESENCE
from sipmesh.server.proxy.events.subscription import EventSubscription
from sipmesh.server.running.running_server import RunningServer
from support.network import FE1, FE2, FE3, Network
from support.running import on_loop

CONTACT = ("contact", "<sip:alice@192.0.2.1:5061;transport=tls>")


def subscription(node: RunningServer, *headers: tuple[str, str]) -> EventSubscription:
    """A subscription on the only link of a server."""
    [flow] = node.flow_table.sessions()
    asked = request("SUBSCRIBE", BOB, CONTACT, *headers, tag="7")
    return EventSubscription(asked, BOB, ALICE, PRESENCE, "ours", flow)


@on_loop
async def test_notify_goes_back_along_the_route_with_rising_numbers(home: Network) -> None:
    """RFC 3261 section 12.1.1: the route set is the Record-Route in its order."""
    async with home:
        await home.phone("alice", FE1)
        made = subscription(
            home.nodes[FE1], ("event", "presence;id=4"), ("record-route", "<sip:a@fe1;lr>, <sip:b@edge;lr>")
        )
        first, second = made.notify("active;expires=60", b"<presence/>"), made.notify("terminated;reason=timeout", b"")
        assert first.uri == "sip:alice@192.0.2.1:5061;transport=tls"
        assert first.values("route") == ["<sip:a@fe1;lr>", "<sip:b@edge;lr>"]
        assert (first.first("from"), first.first("to")) == (f"<{BOB}>;tag=ours", f"<{ALICE}>;tag=7")
        assert (str(first.cseq), str(second.cseq)) == ("1 NOTIFY", "2 NOTIFY")
        assert (first.first("event"), first.first("content-type")) == ("presence;id=4", "application/pidf+xml")
        assert (second.first("subscription-state"), second.first("content-type")) == ("terminated;reason=timeout", None)


@on_loop
async def test_request_belongs_to_it_by_its_tags_and_its_proved_sender(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        made = subscription(home.nodes[FE1], ("event", "presence"))
        again = request("SUBSCRIBE", BOB, tag="7", to_tag="ours")
        assert made.is_of(again, ALICE)
        assert not made.is_of(again, BOB)
        assert not made.is_of(again, None)
        assert not made.is_of(request("SUBSCRIBE", BOB, tag="8", to_tag="ours"), ALICE)


@on_loop
async def test_refresh_changes_the_target(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        made = subscription(home.nodes[FE1], ("event", "presence"))
        made.refreshed(request("SUBSCRIBE", BOB, ("contact", "<sip:alice@192.0.2.2>"), tag="7"), made.flow, ())
        assert made.notify("active", b"").uri == "sip:alice@192.0.2.2"


@pytest.mark.parametrize(
    ("route", "left", "peer"),
    [
        ("<sip:a@fe2.example.test;lr>, <sip:b@fe3.example.test;lr>", ["<sip:b@fe3.example.test;lr>"], FE3),
        ("<sip:a@fe2.example.test;lr>, <sip:a@fe2.example.test;lr>", [], ""),
    ],
)
@on_loop
async def test_notify_passes_by_servers_of_the_pool_that_are_gone(
    home: Network, route: str, left: list[str], peer: str
) -> None:
    async with home:
        await home.phone("alice", FE1)
        made = subscription(home.nodes[FE1], ("event", "presence"), ("record-route", route))
        assert not made.pass_by({FE3})
        assert made.pass_by({FE2})
        assert (made.notify("active", b"").values("route"), made.peer) == (left, peer)
        assert not made.pass_by({FE2})
