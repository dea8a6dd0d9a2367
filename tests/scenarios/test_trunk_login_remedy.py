"""Our login at a trunk that fails: one fault at each surface and as an alert, until the right password is in its file."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.server.admin.status_report import peer_faults
from sipmesh.server.agent import status_reporter
from sipmesh.server.agent.probing import peer_checks
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.sip.message import Request
from sipmesh.trust.role import Role
from support.alert_rules import fired
from support.digest_provider import DigestAccount
from support.figures import LOOK_AGAIN_S, ask_for_figures, figures_with, labelled
from support.managed import MGMT, Managed, build_published
from support.network import EDGE, FE1, FE2, POOL
from support.peer import HungUpError, Peer
from support.running import within
from support.shown_faults import ShownFaults, console_entry
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, PlayedTrunk, build_trunk

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]

FAULTS = labelled("sipmesh_network_faults", kind="partner", code=str(Cause.LOGIN_FAILS))
SECRET = "secrets/provider"


async def registrar(provider: PlayedTrunk, account: DigestAccount) -> None:
    """Answer what comes on each link that the gateway opens."""
    async with asyncio.TaskGroup() as links:
        while True:
            links.create_task(answers(await provider.links.get(), account))


async def answers(trunk: Peer, account: DigestAccount) -> None:
    """Answer each OPTIONS request, accept each REGISTER with the password of *account*, and challenge every other one."""
    number = 0
    with suppress(HungUpError):
        while True:
            asked = await trunk.receive()
            assert isinstance(asked, Request)
            given = account.credentials(asked)
            if asked.method == "OPTIONS":
                await trunk.reply(asked, 200)
            elif given and account.proved(asked, given["nonce"], int(given["nc"], 16)):
                await trunk.reply(asked, 200, [("expires", "80")])
            else:
                number += 1
                await account.challenges(trunk, asked, f"n{number}")


@within(240.0)
async def test_login_that_fails_is_one_fault_at_each_surface_and_an_alert_until_the_password_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_reporter, "REPORT_EVERY_S", 0.5)
    monkeypatch.setattr(peer_checks, "FIRST_S", 0.0)
    monkeypatch.setattr(peer_checks, "AGAIN_S", 0.0)
    monkeypatch.setattr(peer_checks, "EVERY_S", dict.fromkeys(PeerKind, 0.0))
    account, provider = DigestAccount(status=401), PlayedTrunk(PROVIDER, build_trunk(tmp_path / "t", PROVIDER))
    gateways = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL})
    organisation = build_published(tmp_path / "o", gateways)
    port = ask_for_figures(organisation, MGMT)
    login = {"user": account.user, "realm": account.realm, "secret_file": SECRET, "registers": True}
    trunk: dict[str, Any] = {"gateway": GATEWAYS, "asserts": ["+"], "carries": ["+"], "login": login}
    entry = {"domains": [PROVIDER], "edge": f"{PROVIDER}:{provider.port}", "address": HOST, "trunk": trunk}
    entry |= {"anchors": [str(provider.organisation.root)], "crls": [str(one) for one in provider.organisation.lists]}
    organisation.document["federation"] = {"partners": [entry], "networks": ["127.0.0.0/8"]}
    organisation.document["console"] = console_entry()
    organisation.write()
    async with provider, Managed(organisation, tmp_path / "s") as network, asyncio.TaskGroup() as tasks:
        here = ShownFaults(network)
        secret = network.folder(GATEWAY) / SECRET
        secret.parent.mkdir(parents=True)
        secret.write_text("wrong\n")
        secret.chmod(0o600)
        plays = tasks.create_task(registrar(provider, account))
        await network.start(MGMT)
        await network.publish(force=True)
        await network.stop(MGMT)
        await network.start(MGMT, FE1, FE2, EDGE, GATEWAY)
        while Cause.LOGIN_FAILS not in {one.code for one in peer_faults(network.nodes[GATEWAY])}:
            secret.touch()  # the gateway gets the CRLs of the provider after its start, and tries again after a pause
            await asyncio.sleep(LOOK_AGAIN_S)
        name, fault = await here.only(Cause.LOGIN_FAILS)
        assert (name, fault.what) == (PROVIDER, "it refuses our registration with 401")
        assert f"`secret_file` on {GATEWAY}" in fault.remedy
        bad = await figures_with(port, lambda found: found.get(FAULTS) == 1)
        secret.write_text(f"{account.password}\n")
        await here.well()
        mended = await figures_with(port, lambda found: not found.get(FAULTS))
        plays.cancel()
    alerts = {"SipmeshPartnerFault"}
    phases = fired(tmp_path, alerts, mended, bad, mended, mended)
    assert phases == {"before": set(), "during": alerts, "after": set()}
