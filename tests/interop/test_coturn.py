"""A real TURN server relays for the credentials that a user gets, and for no others."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from interop.coturn import Coturn
from interop.turn_client import TurnClient
from server.proxy.events.test_notifier import subscribe, watch
from server.proxy.events.test_turn_credentials import LIFETIME_S, SECRET, Clock, write_turn
from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.topology.document.load import load
from support.checkout import DOCS
from support.in_force import current_of
from support.network import EDGE, FE1, PARTNER_FE, Network
from support.peer import Peer
from support.running import on_loop
from support.telling import Told

pytestmark = pytest.mark.peer("coturn")

THEIRS = b"the secret of the partner's coturn"
UNAUTHORIZED, FORBIDDEN = 401, 403
INSIDE = ["10.1.2.3", "172.16.0.9", "192.168.7.7", "169.254.169.254", "100.64.0.1", "127.0.0.1", "224.0.0.5"]
"""Addresses that a remote user may not reach through the relay: networks of an organisation, and of the machine itself."""


class Login(NamedTuple):
    """A user name and its password."""

    name: str
    password: str


@pytest.fixture(name="coturn")
def _coturn(tmp_path: Path) -> Iterator[Coturn]:
    with Coturn(tmp_path / "coturn", SECRET.decode()) as coturn:
        yield coturn


async def given(peer: Peer) -> Login:
    """Give what a user gets for the TURN server."""
    _, notify = await watch(peer, f"sip:{peer.user}", "ua-profile")
    return read(json.loads(notify.body))


def read(profile: dict[str, Any]) -> Login:
    """Read the credentials in a profile."""
    [relay] = profile["iceServers"]
    return Login(relay["username"], relay["credential"])


def made(network: Network, at: float) -> Login:
    """Make the credentials that front end 1 gives alice at this time, in epoch seconds."""
    log = LimitedLog(Told().log, lambda: 0.0, each=9, total=9, window_s=1.0)
    credentials = TurnCredentials(current_of(load(network.organisations[0].file), FE1), Clock(at), log)
    return read(credentials.servers("sip:alice@example.test"))


async def relayed(coturn: Coturn, *logins: Login) -> list[bool]:
    """Tell for each login whether the TURN server relays for it."""
    return await asyncio.gather(*(asyncio.to_thread(coturn.relays_for, *login) for login in logins))


def allocated(coturn: Coturn, login: Login) -> int:
    """Ask the TURN server for an address; gives the status."""
    with TurnClient(coturn.address, *login) as client:
        return client.allocate()


@on_loop
async def test_coturn_relays_for_a_user_with_credentials_and_for_no_other(pool: Network, coturn: Coturn) -> None:
    """The others have changed the user, or the end, or have a password of another secret."""
    write_turn(pool, coturn.url)
    async with pool:
        own = await given(await pool.phone("alice", FE1))
    end, _, user = own.name.partition(":")
    tried = [
        own,
        Login(f"{end}:bob@example.test", own.password),
        Login(f"{int(end) + 100_000}:{user}", own.password),
        Login(own.name, "A" * len(own.password)),
    ]
    assert await relayed(coturn, *tried) == [True, False, False, False]


@on_loop
@pytest.mark.wide
async def test_remote_user_gets_credentials_through_the_edge_and_only_its_own(remote: Network, coturn: Coturn) -> None:
    """Eve has logged in at the edge as bob. No client gets anything there without a login."""
    write_turn(remote, coturn.url)
    async with remote:
        alice, eve = await remote.phone("alice", EDGE), await remote.phone("bob", EDGE)
        own, other = await given(alice), await given(eve)
        assert (await eve.ask(subscribe(eve, "sip:alice@example.test", "ua-profile"))).status == 403
        nobody = await remote.peer(EDGE, "alice")
        assert (await nobody.ask(subscribe(nobody, "sip:alice@example.test", "ua-profile"))).status == 403
        await asyncio.gather(alice.silent(), eve.silent(), nobody.silent())
    assert (own.name.partition(":")[2], other.name.partition(":")[2]) == ("alice@example.test", "bob@example.test")
    assert await relayed(coturn, own, other, Login(own.name, other.password)) == [True, True, False]


def test_credentials_that_have_ended_get_no_address(home: Network, coturn: Coturn) -> None:
    """The same front end gave them an hour ago, or a moment before the end, or now."""
    write_turn(home, coturn.url)
    now = time.time()
    ages_s = (LIFETIME_S + 3600, LIFETIME_S + 2, 0)
    logins = [made(home, now - age_s) for age_s in ages_s]
    assert [allocated(coturn, login) for login in logins] == [UNAUTHORIZED, UNAUTHORIZED, 200]


@on_loop
async def test_each_organisation_has_its_own_relay(federation: Network, coturn: Coturn, tmp_path: Path) -> None:
    """Who may use the one may not use the other, and a partner's user gets no credentials of ours."""
    with Coturn(tmp_path / "theirs", THEIRS.decode(), realm="partner.test") as theirs:
        write_turn(federation, coturn.url)
        write_turn(federation, theirs.url, secret=THEIRS, organisation=federation.organisations[1])
        async with federation:
            alice, erin = await federation.phone("alice", FE1), await federation.phone("erin", PARTNER_FE)
            ours, partners = await given(alice), await given(erin)
            for target in ("sip:alice@example.test", "sip:erin@example.test"):
                assert (await erin.ask(subscribe(erin, target, "ua-profile"))).status in {403, 404}
            await asyncio.gather(alice.silent(), erin.silent())
        pairs = ((coturn, ours), (theirs, partners), (coturn, partners), (theirs, ours))
        assert [allocated(*pair) for pair in pairs] == [200, 200, UNAUTHORIZED, UNAUTHORIZED]


def test_relay_with_the_documented_settings_leads_to_no_inner_address(home: Network, tmp_path: Path) -> None:
    """A user who has logged in asks for each of them. The control: an address of another network."""
    settings = documented(tmp_path)
    write_turn(home, "turn:turn.example.test")
    login = made(home, time.time())
    coturn = Coturn(tmp_path / "coturn", SECRET.decode(), settings=settings)
    with coturn, TurnClient(coturn.address, *login) as client:
        assert client.allocate() == 200
        assert {address: client.permit(address) for address in INSIDE} == dict.fromkeys(INSIDE, FORBIDDEN)
        assert client.permit("203.0.113.9") == 200


def documented(folder: Path) -> str:
    """Give the settings of docs/howto/turn.md, without the certificate."""
    page = (DOCS / "howto/turn.md").read_text()
    found = re.search(r"```text\n# /etc/turnserver.conf\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return re.sub(r"(?m)^(cert|pkey)=.*\n", "", found[1].replace("SECRET", SECRET.decode()))
