"""Which trunks have room for one more call, at a gateway that is not started."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Forward, Outcome
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.serving.trunk_room import FULL, calls_with, with_room
from sipmesh.sip.message import Request, build_request
from sipmesh.trust.evidence import LinkKind
from support.network import FE1
from support.running import on_loop
from support.still_server import StillServer, still_server
from support.trunks import GATEWAY, PBX, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

NUMBER = "sip:+4989123456@example.test"


@pytest.fixture(name="trunked", scope="module")
def _trunked(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """Two trunks with one call a second each, of which one takes emergency calls."""
    folder = tmp_path_factory.mktemp("trunks")
    example = build_gateway(folder / "example")
    keys: dict[str, Any] = {"asserts": ["+"], "carries": ["+"], "calls_per_second": 1, "channels": 9, "emergency": True}
    trunks = [PlayedTrunk(name, build_trunk(folder / name, name)) for name in (PROVIDER, PBX)]
    example.document["numbers"] = {"emergency": ["112"]}
    join_trunks(example, *((trunk, keys) for trunk in trunks))
    return example


def asked(method: str = "INVITE", uri: str = NUMBER, tag: str = "") -> Request:
    headers = [("to", f"<{uri}>{tag}"), ("from", "<sip:alice@example.test>;tag=1"), ("call-id", "1")]
    return build_request(method, uri, headers)


def room(server: StillServer, request: Request, *, of_trunk: str = "") -> Outcome:
    """Ask for a call of one of our users to both trunks, or of a trunk to a user."""
    in_force = server.parts.setup.current.value
    assert in_force.trunk_names is not None
    view = in_force.view
    kind = LinkKind.PARTNER if of_trunk else LinkKind.SERVER
    partner = view.partner_named(of_trunk)
    peer = partner.peer if partner is not None else view.trusted[FE1]
    target = (
        ServerTarget((FE1,), LinkKind.SERVER, NUMBER)
        if of_trunk
        else ServerTarget((PBX, PROVIDER), LinkKind.PARTNER, NUMBER)
    )
    forward = Forward((target,), "sip:alice@example.test")
    return with_room(server.state, in_force.trunk_names, ServerSender(kind, peer), request, forward, 1.0)


def names(outcome: Outcome) -> tuple[str, ...]:
    assert isinstance(outcome, Forward)
    [target] = outcome.targets
    assert isinstance(target, ServerTarget)
    return target.names


@on_loop
async def test_trunks_without_room_are_left_out(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        assert names(room(server, asked())) == (PBX, PROVIDER)
        assert names(room(server, asked())) == (PROVIDER,)
        assert room(server, asked()) is FULL
        assert names(room(server, asked("INVITE", NUMBER, ";tag=2"))) == (PBX, PROVIDER)
        assert names(room(server, asked("INVITE", "sip:112@example.test"))) == (PBX, PROVIDER)
        assert calls_with(server.state, PBX) == 0


@on_loop
async def test_trunk_that_calls_too_often_is_refused_and_the_other_is_not(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        assert names(room(server, asked(), of_trunk=PBX)) == (FE1,)
        assert room(server, asked(), of_trunk=PBX) is FULL
        assert names(room(server, asked(), of_trunk=PROVIDER)) == (FE1,)
