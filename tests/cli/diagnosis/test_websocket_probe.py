"""The probe of a WebSocket port, against a front end: what a page would find."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.cli.diagnosis.probe import Probe
from sipmesh.cli.diagnosis.probe_target import Target, aim
from sipmesh.cli.diagnosis.websocket_probe import WebSocketAim, probe_websocket
from sipmesh.cli.place import Place
from sipmesh.demo.forge import Forge
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from support.network import EXAMPLE, FE1, FE2, Network
from support.running import on_loop
from support.web_peer import ORIGIN, open_websocket, web_address


@pytest.fixture(name="web")
def _web(example: Organisation) -> Network:
    open_websocket(example)
    return Network((example,), starts=(FE1,))


@pytest.mark.parametrize("origin", ["", ORIGIN])
@on_loop
async def test_page_of_a_listed_origin_gets_a_sip_response(web: Network, origin: str) -> None:
    async with web:
        example = web.of(FE1)
        aimed = WebSocketAim(FE1, example.load().authority.anchors, origin)
        found = await probe_websocket(web_address(example, FE1), aimed, EXAMPLE)
        assert (found.is_open, found.is_answered) == (True, True)
        assert found.sip.startswith("OPTIONS answered 200")


@on_loop
async def test_refusals_say_what_to_do(web: Network) -> None:
    """A page of another site, a name that the server does not have, and an authority that we do not trust."""
    async with web:
        example = web.of(FE1)
        address, anchors = web_address(example, FE1), example.load().authority.anchors
        forbidden = await probe_websocket(address, WebSocketAim(FE1, anchors, "https://evil.test"), EXAMPLE)
        assert "pages of https://evil.test may not connect; add it to" in forbidden.upgrade
        stranger = Forge(datetime.now(UTC)).organisation("Stranger")
        assert stranger.issuer is not None
        untrusted = await probe_websocket(address, WebSocketAim(FE1, [stranger.issuer.certificate]), EXAMPLE)
        assert "certificate" in untrusted.upgrade
        closed = await probe_websocket(web.address(FE1), WebSocketAim(FE1, anchors), EXAMPLE)
        assert [one.is_open for one in (forbidden, untrusted, closed)] == [False] * 3


@on_loop
async def test_explain_probes_the_websocket_port_as_one(web: Network) -> None:
    async with web:
        example = web.of(FE1)
        host, port = web_address(example, FE1)
        target = Target(f"{host}:{port}", "", (), (), ORIGIN)
        aimed, what = aim(target, Place(example.file))
        assert what.startswith(f"{host}:{port} (websocket port of {FE1})")
        result = await Probe(aimed).run()
        assert [(stage.stage, stage.passed) for stage in result.stages] == [
            ("TCP", True),
            ("TLS", True),
            ("verdict", True),
            ("WebSocket", True),
            ("SIP", True),
        ]
        with pytest.raises(OperatorError, match="is the websocket port"):
            aim(Target(f"{host}:{port}", FE2, (), ()), Place(example.file))
