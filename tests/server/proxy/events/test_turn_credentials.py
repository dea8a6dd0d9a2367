"""Credentials for TURN servers: each user gets its own, by a subscription to itself, and no other user gets them."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1
from hmac import new as hmac_of
from pathlib import Path
from typing import Any

import pytest

from server.proxy.events.test_notifier import subscribe, told, watch
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.topology.document.load import load
from support.in_force import current_of
from support.network import FE1, FE2, Network
from support.running import on_loop
from support.telling import Told

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
SECRET = b"a secret of coturn"
RELAYS = ["turn:turn.example.test:3478?transport=udp", "turns:turn.example.test?transport=tcp"]
STUN = "stun:turn.example.test"
LIFETIME_S = 4000


@dataclass
class Clock:
    now: float = 1_800_000_000.5

    def __call__(self) -> float:
        return self.now


def write_turn(
    network: Network, *servers: str, secret: bytes = SECRET, mode: int = 0o600, organisation: Organisation | None = None
) -> Path:
    """Name *servers* in the topology of the first organisation, or another, and place the secret; gives its file."""
    organisation = organisation or network.organisations[0]
    organisation.document["turn"] = {
        "servers": list(servers or (*RELAYS, STUN)),
        "secret_file": "secrets/turn",
        "lifetime_s": LIFETIME_S,
    }
    organisation.write()
    file = organisation.folder / "secrets" / "turn"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(secret + b"\n")
    file.chmod(mode)
    return file


def password_of(name: str, secret: bytes = SECRET) -> str:
    return b64encode(hmac_of(secret, name.encode(), sha1).digest()).decode()


def profile(network: Network, told: Told, clock: Clock | None = None) -> Any:
    log = LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=1.0)
    made = TurnCredentials(current_of(load(network.organisations[0].file), FE1), clock or Clock(), log)
    return made.servers(ALICE)


def test_password_is_that_of_the_user_and_the_end(home: Network) -> None:
    write_turn(home)
    name = f"{1_800_000_000 + LIFETIME_S}:alice@example.test"
    relays = {"urls": RELAYS, "username": name, "credential": password_of(name)}
    assert profile(home, Told()) == {"iceServers": [{"urls": [STUN]}, relays], "ttl": LIFETIME_S}


def test_servers_that_need_no_login_need_no_secret(home: Network) -> None:
    told = Told()
    write_turn(home, STUN).unlink()
    assert profile(home, told) == {"iceServers": [{"urls": [STUN]}], "ttl": LIFETIME_S}
    assert not told.lines


@pytest.mark.parametrize(("mode", "secret"), [(0o644, SECRET), (0o600, b"")])
def test_without_a_secret_that_may_be_used_no_password_is_made(home: Network, mode: int, secret: bytes) -> None:
    told = Told()
    write_turn(home, secret=secret, mode=mode)
    assert profile(home, told)["iceServers"] == [{"urls": [STUN]}]
    assert len(list(told.events("no secret for TURN"))) == 1


def test_without_turn_servers_the_list_is_empty(home: Network) -> None:
    assert profile(home, Told()) == {"iceServers": [], "ttl": 0}


@on_loop
async def test_user_gets_credentials_and_new_credentials_at_each_refresh(pool: Network) -> None:
    file = write_turn(pool)
    async with pool:
        alice = await pool.phone("alice", FE1)
        granted, notify = await watch(alice, ALICE, "ua-profile;profile-type=user")
        relays = json.loads(notify.body)["iceServers"][1]
        assert notify.first("content-type") == "application/json"
        assert relays["username"].endswith(":alice@example.test")
        assert relays["credential"] == password_of(relays["username"])
        file.write_bytes(b"another secret")
        again = alice.request(
            "SUBSCRIBE",
            ALICE,
            [("event", "ua-profile"), *(("route", value) for value in reversed(granted.values("record-route")))],
            to=granted.first("to"),
            call_id=granted.call_id,
            cseq=granted.cseq.number + 1,
        )
        assert (await alice.ask(again)).status == 200
        relays = json.loads((await told(alice)).body)["iceServers"][1]
        assert relays["credential"] == password_of(relays["username"], b"another secret")


@pytest.mark.parametrize("server", [FE1, FE2])
@on_loop
async def test_no_user_gets_the_credentials_of_another_user(pool: Network, server: str) -> None:
    write_turn(pool)
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", server)
        assert (await bob.ask(subscribe(bob, ALICE, "ua-profile"))).status == 403
        _, notify = await watch(bob, BOB, "ua-profile")
        assert b":bob@example.test" in notify.body
        await alice.silent()


@on_loop
async def test_phone_that_goes_gets_no_credentials_at_the_end(pool: Network) -> None:
    write_turn(pool)
    async with pool:
        alice = await pool.phone("alice", FE1)
        granted = await alice.ask(subscribe(alice, ALICE, "ua-profile", ("expires", "0")))
        assert granted.status == 200
        notify = await told(alice)
        assert (notify.first("subscription-state") or "").startswith("terminated")
        assert notify.body == b""
