"""Remedies of docs/howto/alerts.md about calls: records that were lost, and a bound of calls that was reached."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.server.proxy.records import call_recorder
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.alert_rules import fired
from support.descriptions import SDES, SDP
from support.figures import Figures, ask_for_figures, figures, figures_with, labelled
from support.managed import MGMT, Managed, build_published
from support.network import FE1, POOL
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, build_trunk

Figure = tuple[str, frozenset[tuple[str, str]]]
pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]

LOST = labelled("sipmesh_call_records_lost_total")
REACHED = labelled("sipmesh_call_bounds_reached_total", bound="calls")
MADE = labelled("sipmesh_call_records_total")
STARTED = labelled("sipmesh_calls_started_total")
MOST = 20
"""Records of one user in a minute here."""

PREMIUM = "+49900123456"
OFFER = [("content-type", SDP)]


async def above(port: int, figure: Figure, value: float) -> Figures:
    """Wait until a figure is above *value*; gives all."""
    return await figures_with(port, lambda found: found.get(figure, 0.0) > value)


async def to_nobody(phone: Peer) -> None:
    """Send a message that gets 404."""
    await phone.send(phone.request("MESSAGE", "sip:nobody@example.test"))
    assert (await phone.final()).status == 404


async def phone_of(network: Managed, user: str) -> Peer:
    """A phone that has registered."""
    await until(lambda: network.nodes[FE1].users.ready)
    peer = await network.phone(FE1, user)
    assert (await peer.register()).status == 200
    return peer


@pytest.mark.skipif(built() == "compiled", reason="the bound is compiled into the code")
@on_loop
async def test_user_who_causes_too_many_records_is_found_by_them_and_disabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_recorder, "MOST_OF_USER", MOST)
    organisation = build_published(tmp_path / "o", call_records={})
    port = ask_for_figures(organisation)
    async with Managed(organisation, tmp_path / "s") as network:
        await network.start(MGMT)
        await network.publish()
        await network.start(FE1)
        alice, bob = await phone_of(network, "alice"), await phone_of(network, "bob")
        well = await figures(port)
        await to_nobody(bob)
        for _ in range(4 * MOST):
            await to_nobody(alice)
        bad = await figures_with(port, lambda found: found[LOST] > 0)
        assert "its disk" not in await network.type("status", code=1)
        table = await network.type("calls", "--since", "1h")
        while table.count("alice@example.test") < MOST:
            table = await network.type("calls", "--since", "1h")
        assert table.count("bob@example.test") == 1
        await network.type("user", "disable", "alice")
        await alice.hung_up()
        mended = await figures(port)
        await to_nobody(bob)
        after = await above(port, MADE, mended[MADE])
    alerts = {"SipmeshCallRecordsLost"}
    phases = fired(tmp_path, alerts, well, bad, mended, after, every_s=60)
    assert phases == {"before": set(), "during": alerts, "after": set()}


async def line_of(network: Managed, trunk: Organisation) -> Peer:
    """A link of the trunk, once the gateway has the CRLs of its CA."""
    while True:
        line = await network.peer_with(trunk.credentials(PROVIDER), GATEWAY, LinkKind.PARTNER)
        with suppress(HungUpError):
            await line.ask(line.request("OPTIONS", "sip:example.test"))
            return line


async def rings(caller: Peer, line: Peer) -> None:
    """Make a call to a premium number, which stays up."""
    await caller.send(caller.request("INVITE", f"tel:{PREMIUM}", OFFER, SDES))
    await line.reply(await line.request_in("INVITE"), 200, OFFER, SDES)
    assert (await caller.final()).status == 200


async def is_refused(caller: Peer) -> None:
    await caller.send(caller.request("INVITE", f"tel:{PREMIUM}", OFFER, SDES))
    assert (await caller.final()).status == 403


@on_loop
async def test_user_at_a_bound_of_calls_is_named_and_disabled_or_gets_a_higher_bound(tmp_path: Path) -> None:
    """Alice, whose phone was stolen, is disabled; the bound is raised for bob, who makes the calls."""
    provider, gateway = (
        build_trunk(tmp_path / "t", PROVIDER),
        PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL}),
    )
    organisation = build_published(tmp_path / "o", gateway, call_records={})
    port = ask_for_figures(organisation, GATEWAY)
    trunk: dict[str, Any] = {"gateway": GATEWAYS, "asserts": ["+"], "carries": ["+"], "emergency": True}
    trunk["main_number"] = "+49301234"
    entry = {"domains": [PROVIDER], "edge": PROVIDER, "address": "127.0.0.1", "trunk": trunk}
    entry |= {"anchors": [str(provider.root)], "crls": [str(one) for one in provider.lists]}
    users = ["alice@example.test", "bob@example.test"]
    premium: dict[str, Any] = {"name": "premium", "numbers": ["+49900"], "users": users, "per_user": {"calls": 1}}
    numbers = {"country": "49", "emergency": ["112"], "classes": [premium]}
    organisation.document["federation"] = {"partners": [entry], "networks": ["127.0.0.0/8"]}
    organisation.document["numbers"] = numbers
    organisation.write()
    async with Managed(organisation, tmp_path / "s") as network:
        await network.start(MGMT)
        await network.publish(force=True)
        await network.start(FE1, GATEWAY)
        line = await line_of(network, provider)
        alice, bob = await phone_of(network, "alice"), await phone_of(network, "bob")
        well = await figures(port)
        for caller in (alice, bob):
            await rings(caller, line)
            await is_refused(caller)
        bad = await above(port, REACHED, 1)
        while "premium" not in (told := await network.type("status", code=1)):
            pass
        assert ("alice@example.test" in told, "bob@example.test" in told) == (True, True), told
        while "alice@example.test" not in await network.type("calls", "--since", "1d"):
            pass
        await network.type("user", "disable", "alice")
        await alice.hung_up()
        await network.publish(lambda _document: premium["per_user"].update(calls=2), force=True)
        await network.acknowledged(network.number(MGMT))
        mended = await figures(port)
        await rings(bob, line)
        after = await above(port, STARTED, mended[STARTED])
    alerts = {"SipmeshCallBoundReached"}
    phases = fired(tmp_path, alerts, well, bad, mended, after, every_s=20)
    assert phases == {"before": set(), "during": alerts, "after": set()}
