"""From an invitation to a message with real phones that get a certificate: no file is typed, and there is no password."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.baresip import LOOK_AGAIN_S, PATIENCE_S
from interop.hosts_file import require_namespaces
from interop.pjsua import Pjsua
from interop.test_device_certificates import refusals, writes_to
from interop.test_invitations import MACHINE, InvitedBaresip, InvitedLinphone, devices, taken
from sipmesh.demo.network import FE1, FE2, DemoNetwork
from sipmesh.demo.web import MGMT
from support.invited import ran, sipmesh

pytestmark = pytest.mark.peer("baresip")


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """example.test with management; its first front end takes certificates of devices, and no password."""
    network = runner.run(started(tmp_path_factory.mktemp("c")))
    yield network
    runner.run(network.stop())


async def started(folder: Path) -> DemoNetwork:
    """Start the network; FE2 takes passwords only, so no invitation for a certificate leads there."""
    network = await DemoNetwork.build(folder, web=True)
    for server in (FE1, FE2, MGMT):
        network.dns.records[server, "A"] = ["127.0.0.1"]
    document: Any = network.example.document
    servers = (server for pool in document["pools"] for server in pool["servers"])
    next(server for server in servers if server["name"] == FE1)["client_auth"] = "certificate"
    network.example.write()
    await network.start(MGMT, FE1)
    _, told, _ = await ran(network.example.file, "topology", "publish", "-m", "certificates for devices")
    assert "is published" in told  # it leaves with 1, since FE2 and the edge do not run
    return network


async def baresip(network: DemoNetwork, user: str, friend: str = "") -> InvitedBaresip:
    """A phone that has taken an invitation of *user* for a certificate."""
    script = await taken(network, user, "baresip", "--certificate")
    assert f"{user}-secret" not in script
    folder = network.folder / f"b-{user}-{len(list(network.folder.iterdir()))}"
    phone = InvitedBaresip(folder, user, script, network.dns.setting)
    if friend:
        (folder / "contacts").write_text(f'"friend" <sip:{friend}@example.test>\n')
    return phone


@pytest.mark.wide
def test_baresip_writes_after_its_invitation_and_is_shut_out_when_its_device_is_revoked(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    async def play() -> None:
        async with await baresip(network, "alice", "bob") as alice, await baresip(network, "bob") as bob:
            await alice.registered()
            await bob.registered()
            await writes_to(alice, bob)
            assert "WWW-Authenticate" not in alice.log
            assert await devices(network, "alice") == {"baresip": "baresip"}
            await sipmesh(network.example.file, "user", "devices", "alice", "--revoke", "baresip")
            async with asyncio.timeout(PATIENCE_S):
                while '"revoked"' not in refusals(network):  # it tries again when it has something to send
                    await alice.command("message", "again")
                    await asyncio.sleep(LOOK_AGAIN_S)
            assert "OK" in (await bob.command("reginfo")).get("data", "")

    runner.run(play())


@pytest.mark.peer("linphone")
def test_linphone_is_written_to_after_its_invitation(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """The script writes its files, and names them in its configuration."""
    require_namespaces()

    async def play() -> None:
        script = network.folder / "linphone.sh"
        script.write_text(await taken(network, "carol", "linphone", "--certificate"))
        folder = network.folder / "l1"
        carol = InvitedLinphone(folder, "carol", "", network.example.root)
        (folder / "linphonerc").write_text(MACHINE.partition("[misc]")[0].format(root="/nowhere.pem"))
        await asyncio.to_thread(subprocess.run, ["sh", str(script), str(folder)], check=True, capture_output=True)
        (folder / "linphonerc").rename(folder / "rc")
        async with carol, await baresip(network, "bob", "carol") as bob:
            await carol.registered()
            await bob.registered()
            await writes_to(bob, carol)

    runner.run(play())


@pytest.mark.wide
@pytest.mark.peer("pjsua2")
def test_pjsip_is_written_to_after_its_invitation(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """`certBuf` and `privKeyBuf` of its `TlsConfig`: no file at all."""
    require_namespaces()

    async def play() -> None:
        content: dict[str, Any] = json.loads(await taken(network, "dave", "pjsip", "--certificate"))
        async with (
            Pjsua.provisioned(network.folder / "p1", content) as dave,
            await baresip(network, "bob", "dave") as bob,
        ):
            await dave.registered()
            await bob.registered()
            await writes_to(bob, dave)

    runner.run(play())
