"""The network of the demo: its servers are processes that answer, say why they do not start, and end with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.network import EDGE, FE1, PARTNER_FE, DemoNetwork
from sipmesh.errors import SipmeshError
from sipmesh.server.admin import replies
from support.running import on_loop


@pytest.fixture(name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name: a control socket has a path of 107 octets at most."""
    return tmp_path_factory.mktemp("d")


@on_loop
@pytest.mark.wide
async def test_servers_answer_until_the_network_stops(folder: Path) -> None:
    """One of each organisation; a server of the partner has a control socket in the folder of the partner."""
    network = await DemoNetwork.build(folder)
    try:
        await network.start(FE1, PARTNER_FE)
        assert (await network.ask(FE1, "status"))["server"] == FE1
        assert await network.result_of(replies.REFUSED, PARTNER_FE, most=1) == []
        assert network.control(PARTNER_FE).is_relative_to(network.partner.folder)
        started = list(network.servers.values())
    finally:
        await network.stop()
    assert [one.returncode for one in started] == [0, 0]
    with pytest.raises(SipmeshError, match="does not run on this machine"):
        await network.ask(FE1, "status")


@on_loop
async def test_server_that_takes_too_long_is_reported_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipmesh.demo.network.START_S", 0.0)
    network = await DemoNetwork.build(folder)
    try:
        with pytest.raises(SipmeshError, match=f"^{FE1} did not start within 0 s: .*; run the demo again"):
            await network.start(FE1)
    finally:
        await network.stop()


@on_loop
async def test_server_that_does_not_start_is_reported_with_its_log(folder: Path) -> None:
    network = await DemoNetwork.build(folder)
    try:
        network.example.credentials(EDGE)[1].unlink()
        with pytest.raises(SipmeshError, match=rf"(?s){EDGE} did not start:\n.*key"):
            await network.start(EDGE)
    finally:
        await network.stop()
