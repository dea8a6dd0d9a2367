"""What the watcher of a user may see, and what the phones of a user get."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.events.reference import EARLY_REFERENCE
from sipmesh.routing.outcome import Answer, Forward
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.server.in_force.home_pools import HomePools
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.serving.watchers import refused_at_phone, refused_early_reference, refused_watcher
from sipmesh.sip.message import Request
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.evidence import LinkKind
from support.network import FE2, FE3, Network
from support.running import on_loop
from support.still_server import StillServer, asked, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
HIDDEN = "sip:anonymous@anonymous.invalid"


def rule(monkeypatch: pytest.MonkeyPatch, watching: Watching | None, *, blocks: bool = False) -> None:
    """Have every user of the organisation say this of every watcher."""
    monkeypatch.setattr(HomePools, "watcher_rule", lambda *_: watching)
    monkeypatch.setattr(HomePools, "blocks_somebody", lambda *_: blocks)


def status(answer: Answer | None) -> int | None:
    return None if answer is None else answer.status


@pytest.mark.parametrize(
    ("method", "event", "watcher", "said", "expected"),
    [
        ("SUBSCRIBE", "presence", ALICE, Watching.ALLOW, None),
        ("SUBSCRIBE", "presence", ALICE, Watching.BLOCK, 403),
        ("SUBSCRIBE", "presence", ALICE, Watching.POLITE_BLOCK, 480),
        ("SUBSCRIBE", "presence", ALICE, None, None),
        ("SUBSCRIBE", "presence", BOB, Watching.BLOCK, None),
        ("SUBSCRIBE", "dialog", ALICE, None, 403),
        ("SUBSCRIBE", "dialog", ALICE, Watching.ALLOW, None),
        ("SUBSCRIBE", "dialog", BOB, None, None),
        ("SUBSCRIBE", "refer", ALICE, Watching.BLOCK, 403),
        ("OPTIONS", "", ALICE, Watching.BLOCK, 403),
        ("OPTIONS", "", ALICE, None, None),
        ("INVITE", "", ALICE, Watching.BLOCK, None),
    ],
)
@on_loop
async def test_request_whose_answer_tells_of_the_user(
    home: Network,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    event: str,
    watcher: str,
    said: Watching | None,
    expected: int | None,
) -> None:
    async with still_server(home.organisations[0]) as server:
        rule(monkeypatch, said)
        request = asked(method, BOB, *([("event", event)] if event else []))
        assert status(refused_watcher(server.parts.setup.current.value, request, BOB, watcher)) == expected


def to_phone(server: StillServer, flow: Flow) -> Forward:
    """The way to the phone of bob on *flow*."""
    return Forward((FlowTarget(flow.number, next(iter(flow.owners)), BOB, found=Found.TOKEN),), ALICE)


def judged(server: StillServer, flow: Flow, request: Request, forward: Forward) -> int | None:
    return status(refused_at_phone(server.state, server.parts.setup.current.value, flow, request, forward))


@pytest.mark.parametrize(("said", "expected"), [(Watching.BLOCK, 403), (Watching.ALLOW, None)])
@on_loop
async def test_subscribe_to_a_phone_asks_the_rules_of_its_user(
    home: Network, monkeypatch: pytest.MonkeyPatch, said: Watching, expected: int | None
) -> None:
    async with still_server(home.organisations[0]) as server:
        rule(monkeypatch, said)
        alice, bob = server.phone(), server.registered("bob")
        subscribe = asked("SUBSCRIBE", BOB, ("event", "presence"))
        assert judged(server, alice, subscribe, to_phone(server, bob)) == expected
        elsewhere = Forward((ServerTarget((FE2,), LinkKind.SERVER, BOB),), ALICE)
        assert judged(server, alice, subscribe, elsewhere) is None


NOTIFY = ("event", "presence")


@pytest.mark.parametrize(
    ("event", "to", "said", "by_phone", "expected"),
    [
        ("presence", BOB, Watching.BLOCK, True, 481),
        ("presence", BOB, Watching.ALLOW, True, None),
        ("presence", BOB, Watching.BLOCK, False, None),
        ("refer", BOB, Watching.BLOCK, True, None),
        ("presence", "tel:+4930123", Watching.BLOCK, True, 481),
        ("presence", "mailto:bob@example.test", Watching.BLOCK, True, None),
    ],
)
@on_loop
async def test_notify_of_a_phone_ends_where_its_watcher_may_not_watch(
    home: Network,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    to: str,
    said: Watching,
    *,
    by_phone: bool,
    expected: int | None,
) -> None:
    """Another server has judged the NOTIFY of its own phone."""
    async with still_server(home.organisations[0]) as server:
        rule(monkeypatch, said)
        flow = server.phone() if by_phone else server.server(FE2)
        notify = asked("NOTIFY", BOB, ("event", event), to=to, tag="2")
        assert judged(server, flow, notify, to_phone(server, server.registered("bob"))) == expected


@pytest.mark.parametrize(
    ("event", "target", "said", "blocks", "expected"),
    [
        ("presence", "phone", Watching.BLOCK, False, 481),
        ("presence", "phone", Watching.ALLOW, False, None),
        ("presence", FE2, Watching.ALLOW, True, None),
        ("presence", FE3, Watching.ALLOW, True, 481),
        ("presence", FE3, Watching.ALLOW, False, None),
        ("dialog", FE3, None, False, 481),
        ("dialog", FE3, Watching.ALLOW, False, None),
    ],
)
@on_loop
async def test_notify_to_a_watcher_who_hides(
    two_pools: Network,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    target: str,
    said: Watching | None,
    *,
    blocks: bool,
    expected: int | None,
) -> None:
    """Behind another pool no server can say who the watcher is, so it gets no NOTIFY of a user who blocks a watcher."""
    async with still_server(two_pools.organisations[0]) as server:
        rule(monkeypatch, said, blocks=blocks)
        notify = asked("NOTIFY", BOB, ("event", event), to=HIDDEN, tag="2")
        flow, forward = server.phone(), Forward((ServerTarget((target,), LinkKind.SERVER, BOB),), ALICE)
        if target == "phone":
            forward = to_phone(server, server.registered("bob"))
        assert judged(server, flow, notify, forward) == expected
        of_nobody = Forward(forward.targets, None)
        assert judged(server, flow, notify, of_nobody) is None
        elsewhere = Forward(forward.targets, BOB)  # who is at home in the other pool, which looks at it
        assert judged(server, flow, notify, elsewhere) is None


@on_loop
async def test_refer_inside_a_call_that_rings_is_too_early(home: Network) -> None:
    """The whole attack is in tests/attacks/test_references.py."""
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        refer, forward = asked("REFER", BOB, ("call-id", "call")), to_phone(server, bob)
        assert judged(server, alice, refer, forward) is None
        bob.ringing.add("call")
        assert judged(server, alice, refer, forward) == EARLY_REFERENCE.status
        elsewhere = Forward((ServerTarget((FE2,), LinkKind.SERVER, BOB),), ALICE)
        assert refused_early_reference(server.state, refer, elsewhere) is None
