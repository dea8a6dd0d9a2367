"""Kamailio as an application of ours that challenges in a realm of its own, as a trunk does, and baresip that answers it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from interop.baresip import Baresip
from interop.kamailio import Trunk
from interop.phones import phone, started
from sipmesh.demo.network import BOTS, FE1, DemoNetwork

pytestmark = pytest.mark.peer("baresip", "kamailio")

PATIENCE_S = 15.0


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    network = runner.run(started(tmp_path_factory.mktemp("n"), FE1))  # short: sockets lie in it
    yield network
    runner.run(network.stop())


@pytest.fixture(name="trunk", scope="module")
def _trunk(network: DemoNetwork, runner: asyncio.Runner) -> Iterator[Trunk]:
    trunk = Trunk(network.folder / "trunk", network.example, BOTS, "dora-secret")
    runner.run(trunk.__aenter__())
    yield trunk
    runner.run(trunk.__aexit__(None, None, None))


def caller(network: DemoNetwork, user: str) -> Baresip:
    """A phone of dora's, whose password the trunk knows too, and whose messages go to *user* of the trunk."""
    return phone(network, "dora", FE1, records=False, friend=f"sip:{user}@{BOTS}")


async def logged(trunk: Trunk, text: str) -> None:
    """Wait until the trunk has logged *text*."""
    async with asyncio.timeout(PATIENCE_S):
        while text not in trunk.log:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("user", "field"), [("by401", "Authorization"), ("by407", "Proxy-Authorization")], ids=["401", "407"]
)
@pytest.mark.wide
def test_trunk_challenges_a_phone_in_its_own_realm(
    network: DemoNetwork, runner: asyncio.Runner, trunk: Trunk, user: str, field: str
) -> None:
    """A MESSAGE and a call. The credentials arrive as the phone has sent them, and the trunk accepts them."""
    dora = caller(network, user)

    async def play() -> None:
        async with dora:
            await dora.registered()
            await dora.command("message", "hello")
            await logged(trunk, f"accepted MESSAGE {user}")
            await dora.command("dial", f"sip:{user}@{BOTS}")
            await dora.event("CALL_ESTABLISHED")
            await dora.command("hangup")
            await logged(trunk, f"inside BYE {user}")

    runner.run(play())
    sent = set(re.findall(rf'^{field}: (Digest .*realm="trunk.test".*?)\r?$', dora.log, re.MULTILINE))
    came = set(re.findall(rf"asked \w+ {user}.*\[(Digest .*?)\]", trunk.log))
    assert sent == came
    assert len(sent) == 4  # MESSAGE, INVITE, its ACK and BYE


def test_trunk_that_challenges_in_our_realm_gets_no_credentials(
    network: DemoNetwork, runner: asyncio.Runner, trunk: Trunk
) -> None:
    """The challenge is taken out of its 401, so the call fails at once, and the phone is asked for nothing."""
    dora = caller(network, "ours")

    async def play() -> str:
        async with dora:
            await dora.registered()
            await dora.command("dial", f"sip:ours@{BOTS}")
            return str((await dora.event("CALL_CLOSED"))["param"])

    assert runner.run(play()) == "403 Forbidden"
    assert re.findall(r"asked INVITE ours (.*)", trunk.log) == ["[<null>] [<null>]"]
