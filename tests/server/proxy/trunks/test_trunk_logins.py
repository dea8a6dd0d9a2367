"""Trunks at which the gateway logs in by digest: what they get, and which challenges get nothing."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.status_report import peer_faults
from sipmesh.server.management.remedies import remedy_of
from sipmesh.server.proxy.flow import SentBranch
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.sip.message import Request
from support.descriptions import SDES, SDP
from support.digest_provider import DigestAccount
from support.network import EXAMPLE, FE1, Network
from support.peer import Peer
from support.running import on_jumping_loop, on_loop, until
from support.talking import inside_of
from support.trunks import (
    ALICE,
    GATEWAY,
    GATEWAYS,
    OF_PBX,
    OUTSIDE,
    PBX,
    PROVIDER,
    PlayedTrunk,
    with_trunks,
)

OFFER = [("content-type", SDP)]
ACCOUNT = DigestAccount()
LOGIN = {"user": ACCOUNT.user, "realm": ACCOUNT.realm, "secret_file": "secrets/provider", "registers": False}


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """A provider with an account of ours, and a PBX without one."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    secret = tmp_path / "example" / "secrets" / "provider"
    secret.parent.mkdir()
    secret.write_text(f"{ACCOUNT.password}\n")
    secret.chmod(0o600)
    network = Network((example,), starts=(FE1, GATEWAY))
    return with_login(network)


def with_login(network: Network, **keys: object) -> Network:
    """Say how the gateway logs in at the provider."""
    federation: Any = network.organisations[0].document["federation"]
    federation["partners"][0]["trunk"]["login"] = {**LOGIN, **keys}
    network.organisations[0].write()
    return network


def secret_of(network: Network) -> Path:
    """The file with the password."""
    return network.organisations[0].folder / "secrets" / "provider"


def trunk_faults(network: Network) -> list[tuple[str, str, str]]:
    """What the gateway reports of its trunks: each name, code and sentence."""
    return [(fault.peer, fault.code, fault.why) for fault in peer_faults(network.nodes[GATEWAY])]


def tick(network: Network) -> None:
    """Have the gateway send what is due."""
    network.nodes[GATEWAY].sweep.tick()


async def calls(alice: Peer, *headers: tuple[str, str]) -> Request:
    """A call of alice to a number outside."""
    invite = alice.request(
        "INVITE", f"tel:{OUTSIDE}", [*OFFER, *headers], SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}"
    )
    await alice.send(invite)
    return invite


async def challenged(trunk: Peer, account: DigestAccount = ACCOUNT, nonce: str = "n1", **other: str) -> Request:
    """Challenge the next INVITE, whose ACK belongs to it."""
    invite = await trunk.request_in("INVITE")
    await account.challenges(trunk, invite, nonce, **other)
    assert (await trunk.request_in("ACK")).top_via.branch == invite.top_via.branch
    return invite


@pytest.mark.parametrize(("algorithm", "status"), [("SHA-256", 407), ("SHA-256", 401), ("MD5", 407)])
@on_loop
async def test_gateway_answers_the_challenge_of_a_provider_and_the_phone_sees_none(
    network: Network, provider: PlayedTrunk, algorithm: str, status: int
) -> None:
    """The next requests have credentials at once, with the next nonce count; the ACK has none."""
    account = DigestAccount(algorithm=algorithm, status=status)
    async with with_login(network, algorithm=algorithm), provider:
        alice = await network.phone("alice", FE1)
        invite = await calls(alice)
        trunk = await provider.links.get()
        first = await challenged(trunk, account)
        assert account.credentials(first) == {}
        came = await trunk.request_in("INVITE")
        assert account.proved(came)
        assert (came.call_id, came.from_.tag) == (first.call_id, first.from_.tag)
        await trunk.reply(came, 200, OFFER, SDES)
        final = await alice.final()
        assert (final.status, final.values("proxy-authenticate"), final.values("www-authenticate")) == (200, [], [])
        dialog = Dialog.of_caller(invite, final)
        await alice.send(inside_of(dialog, alice, "ACK"))
        assert account.credentials(await trunk.request_in("ACK")) == {}
        await alice.send(inside_of(dialog, alice, "BYE"))
        bye = await trunk.request_in("BYE")
        assert account.proved(bye, count=2)
        await trunk.reply(bye, 200)
        assert (await alice.final(method="BYE")).status == 200


@on_loop
async def test_request_inside_a_call_that_is_challenged_is_sent_again(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await calls(alice)
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        await trunk.reply(came, 200, OFFER, SDES)
        dialog = Dialog.of_caller(invite, await alice.final())
        await alice.send(inside_of(dialog, alice, "ACK"))
        await trunk.request_in("ACK")
        await alice.send(inside_of(dialog, alice, "BYE"))
        await ACCOUNT.challenges(trunk, await trunk.request_in("BYE"))
        bye = await trunk.request_in("BYE")
        assert ACCOUNT.proved(bye)
        await trunk.reply(bye, 200)
        assert (await alice.final(method="BYE")).status == 200


@on_loop
async def test_new_nonce_is_answered_once_and_a_second_challenge_ends_the_attempt(
    network: Network, provider: PlayedTrunk
) -> None:
    """A wrong password would be sent again and again. The next call is answered with the newest nonce."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await calls(alice)
        trunk = await provider.links.get()
        await challenged(trunk)
        assert ACCOUNT.proved(await challenged(trunk, nonce="n2"))
        refused = await alice.final()
        assert (refused.status, refused.values("proxy-authenticate")) == (502, [])
        await calls(alice)
        assert ACCOUNT.proved(await trunk.request_in("INVITE"), "n2")


@on_loop
async def test_challenge_that_comes_after_the_call_was_accepted_leaves_nothing_in_memory(
    network: Network, provider: PlayedTrunk
) -> None:
    """A provider may send it for each call. No list keeps the request, and it is not sent again."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        invite = await calls(alice)
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        await trunk.reply(came, 200, OFFER, SDES)
        dialog = Dialog.of_caller(invite, await alice.final())
        await ACCOUNT.challenges(trunk, came)
        await alice.send(inside_of(dialog, alice, "ACK"))
        await trunk.request_in("ACK")
        await alice.send(inside_of(dialog, alice, "BYE"))
        bye = await trunk.request_in("BYE")
        assert ACCOUNT.proved(bye)
        await trunk.reply(bye, 200)
        assert (await alice.final(method="BYE")).status == 200
        held = [one for one in gc.get_objects() if isinstance(one, SentBranch)]
        [sent] = [one for one in held if one.branch == came.top_via.branch]
        assert not [holder for holder in gc.get_referrers(sent) if isinstance(holder, set)]


@pytest.mark.parametrize(
    "other",
    [
        {"realm": "provider.realm.test.evil"},
        {"realm": "Provider.Realm.Test"},
        {"realm": EXAMPLE},
        {"algorithm": "MD5"},
        {"algorithm": "MD5-sess"},
        {"algorithm": "SHA-512-256"},
        {"qop": "auth-int"},
        {"qop": ""},
    ],
)
@on_loop
async def test_challenge_in_another_realm_or_with_a_weaker_algorithm_gets_no_credentials(
    network: Network, provider: PlayedTrunk, other: dict[str, str]
) -> None:
    """Neither those of the account, nor those of the user: the phone gets a 502 and no challenge. The right one is answered."""
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await calls(alice)
        trunk = await provider.links.get()
        await challenged(trunk, ACCOUNT, "n1", **other)
        refused = await alice.final()
        assert (refused.status, refused.values("proxy-authenticate")) == (502, [])
        await calls(alice)
        assert ACCOUNT.credentials(await challenged(trunk)) == {}
        assert ACCOUNT.proved(await trunk.request_in("INVITE"))


@on_loop
async def test_user_sends_no_credentials_to_a_provider(network: Network, provider: PlayedTrunk) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        forged = f'Digest username="x", realm="{ACCOUNT.realm}", nonce="n0", uri="sip:x", response="00"'
        await calls(alice, ("proxy-authorization", forged), ("authorization", forged))
        trunk = await provider.links.get()
        first = await challenged(trunk)
        assert (first.values("proxy-authorization"), first.values("authorization")) == ([], [])
        assert ACCOUNT.proved(await trunk.request_in("INVITE"))


@on_loop
async def test_trunk_without_an_account_gets_no_answer_to_a_challenge(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    """The PBX challenges in the realm of the provider. The call goes to the provider, which is the next trunk."""
    async with network, provider, pbx:
        alice = await network.phone("alice", FE1)
        invite = alice.request("INVITE", f"tel:{OF_PBX}", OFFER, SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}")
        await alice.send(invite)
        await challenged(await pbx.links.get())
        trunk = await provider.links.get()
        await challenged(trunk)
        assert ACCOUNT.proved(await trunk.request_in("INVITE"))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o000])
@on_loop
async def test_password_that_others_may_read_is_not_used(network: Network, provider: PlayedTrunk, mode: int) -> None:
    if mode == 0:
        secret_of(network).unlink()
    else:
        secret_of(network).chmod(mode)
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await calls(alice)
        trunk = await provider.links.get()
        await challenged(trunk)
        assert ACCOUNT.credentials(await challenged(trunk)) == {}
        assert (await alice.final()).status == 502


@on_jumping_loop
async def test_impostor_with_another_certificate_gets_no_credentials(
    network: Network, provider: PlayedTrunk, trunk_models: dict[str, Organisation]
) -> None:
    """It has the address of the provider, and a certificate of the PBX. The provider itself gets the registration."""
    impostor = PlayedTrunk(PBX, trunk_models[PBX], port=provider.port)
    async with with_login(network, registers=True):
        async with impostor:
            tick(network)
            alice = await network.phone("alice", FE1)
            await calls(alice)
            assert (await alice.final()).status in {500, 503}
            heard = [impostor.links.get_nowait().heard for _ in range(impostor.links.qsize())]
            assert b"SIP/2.0" not in b"".join(heard)
        async with provider:
            await asyncio.sleep(61)
            tick(network)
            assert (await (await provider.links.get()).request_in("REGISTER")).ruri.host == PROVIDER


@on_jumping_loop
async def test_gateway_keeps_its_registration_and_takes_calls_by_it(network: Network, provider: PlayedTrunk) -> None:
    account = DigestAccount(status=401)
    async with with_login(network, registers=True), provider:
        tick(network)
        trunk = await provider.links.get()
        first = await trunk.request_in("REGISTER")
        assert first.to.uri == f"sip:{ACCOUNT.user}@{PROVIDER}"
        await account.challenges(trunk, first)
        register = await trunk.request_in("REGISTER")
        assert account.proved(register)
        assert register.cseq.number > first.cseq.number
        [contact] = register.contacts
        await trunk.reply(register, 200, [("expires", "80")])
        alice = await network.phone("alice", FE1)
        invite = trunk.request(
            "INVITE",
            contact.uri,
            OFFER,
            SDES,
            sender=f"<sip:{OUTSIDE}@x.test>;tag={trunk.tag}",
            to=f"<sip:{ALICE}@{PROVIDER}>",
        )
        await trunk.send(invite)
        came = await alice.request_in("INVITE")
        assert came.from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
        await alice.reply(came, 486)
        assert (await trunk.final()).status == 486
        await asyncio.sleep(61)
        tick(network)
        again = await trunk.request_in("REGISTER")
        assert account.proved(again, count=2)
        await account.challenges(trunk, again, "n2", stale="true")
        assert account.proved(await trunk.request_in("REGISTER"), "n2")


@on_jumping_loop
async def test_registration_is_made_again_on_a_new_link(network: Network, provider: PlayedTrunk) -> None:
    async with with_login(network, registers=True), provider:
        tick(network)
        trunk = await provider.links.get()
        known = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER]
        await trunk.reply(await trunk.request_in("REGISTER"), 200, [("expires", "3600")])
        await until(lambda: known.registered_on)
        await trunk.__aexit__()
        await until(lambda: network.nodes[GATEWAY].flow_table.by_number(known.registered_on) is None)
        tick(network)
        second = await provider.links.get()
        assert (await second.request_in("REGISTER")).contacts[0].sip_uri.host == GATEWAYS


@on_jumping_loop
async def test_registration_whose_link_closes_is_soon_made_again_each_time(
    network: Network, provider: PlayedTrunk
) -> None:
    """No registrar has answered. The provider may be back at any time, and has calls for us."""
    async with with_login(network, registers=True), provider:
        tick(network)
        known, pauses = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER], list[int]()
        for _ in range(3):
            trunk = await provider.links.get()
            await trunk.request_in("REGISTER")
            await trunk.__aexit__()
            await until(lambda: not known.asks)
            pauses.append(round(known.register_at - asyncio.get_running_loop().time()))
            await asyncio.sleep(pauses[-1] + 1)
            tick(network)
        assert pauses == [10, 10, 10]
        trunk = await provider.links.get()
        await trunk.reply(await trunk.request_in("REGISTER"), 200, [("expires", "3600")])
        await until(lambda: known.registered_on)


@on_jumping_loop
async def test_registration_that_is_refused_is_tried_less_and_less(network: Network, provider: PlayedTrunk) -> None:
    """A wrong password: one challenge is answered, and then the gateway waits."""
    account = DigestAccount(status=401)
    async with with_login(network, registers=True), provider:
        tick(network)
        trunk = await provider.links.get()
        known, pauses = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER], list[int]()
        for _ in range(3):
            await account.challenges(trunk, await trunk.request_in("REGISTER"))
            await account.challenges(trunk, await trunk.request_in("REGISTER"), "n2")
            await until(lambda: not known.asks)
            pauses.append(round(known.register_at - asyncio.get_running_loop().time()))
            await asyncio.sleep(pauses[-1] + 1)
            tick(network)
        assert pauses == [30, 60, 120]


@on_loop
async def test_wrong_password_is_a_fault_of_the_trunk_until_the_right_one_is_in_its_file(
    network: Network, provider: PlayedTrunk
) -> None:
    """The first refusal shows it, and no wait: the gateway registers again once the file has changed."""
    account = DigestAccount(status=401)
    secret_of(network).write_text("wrong\n")
    async with with_login(network, registers=True), provider:
        tick(network)
        trunk = await provider.links.get()
        await account.challenges(trunk, await trunk.request_in("REGISTER"))
        assert trunk_faults(network) == []
        register = await trunk.request_in("REGISTER")
        assert not account.proved(register)
        await account.challenges(trunk, register, "n2")
        await until(lambda: bool(trunk_faults(network)))
        [fault] = trunk_faults(network)
        assert fault == (PROVIDER, Cause.LOGIN_FAILS, "it refuses our registration with 401")
        assert "`secret_file` on gw1" in remedy_of(PeerKind.PARTNER, Cause.LOGIN_FAILS, PROVIDER, "gw1")
        tick(network)
        secret_of(network).write_text(f"{account.password}\n")
        tick(network)
        register = await trunk.request_in("REGISTER")
        assert account.proved(register, count=2)
        await trunk.reply(register, 200, [("expires", "80")])
        await until(lambda: trunk_faults(network) == [])


@on_loop
async def test_registration_that_is_forbidden_is_a_fault_and_an_overloaded_registrar_is_none(
    network: Network, provider: PlayedTrunk
) -> None:
    async with with_login(network, registers=True), provider:
        tick(network)
        trunk = await provider.links.get()
        known = network.nodes[GATEWAY].trunk_watch.trunks[PROVIDER]
        await trunk.reply(await trunk.request_in("REGISTER"), 503)
        await until(lambda: not known.asks)
        assert trunk_faults(network) == []
        secret_of(network).chmod(0o644)
        secret_of(network).write_text("another one\n")
        tick(network)
        await ACCOUNT.challenges(trunk, await trunk.request_in("REGISTER"))
        await until(lambda: bool(trunk_faults(network)))
        assert "our password cannot be used" in trunk_faults(network)[0][2]
        secret_of(network).chmod(0o600)
        secret_of(network).write_text("yet another one\n")
        tick(network)
        await trunk.reply(await trunk.request_in("REGISTER"), 403)
        await until(lambda: "it refuses our registration with 403" in str(trunk_faults(network)))


@on_loop
async def test_calls_with_a_wrong_password_are_a_fault_until_one_rings_with_the_right_one(
    network: Network, provider: PlayedTrunk
) -> None:
    """A nonce that is too old says nothing of the password, and a challenge is no refusal of a call."""
    secret_of(network).write_text("wrong\n")
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await calls(alice)
        trunk = await provider.links.get()
        await challenged(trunk)
        await challenged(trunk, nonce="n2", stale="true")
        assert (await alice.final()).status == 502
        assert trunk_faults(network) == []
        for nonce in ("n3", "n4"):
            await calls(alice)
            await challenged(trunk, nonce=nonce)
            await challenged(trunk, nonce=f"{nonce}-again")
            assert (await alice.final()).status == 502
            assert trunk_faults(network) == [
                (PROVIDER, Cause.LOGIN_FAILS, "it refuses our password for calls with 407")
            ]
        secret_of(network).write_text(f"{ACCOUNT.password}\n")
        await calls(alice)
        invite = await trunk.request_in("INVITE")
        assert ACCOUNT.proved(invite, "n4-again")
        await trunk.reply(invite, 180)
        await until(lambda: trunk_faults(network) == [])


@on_loop
async def test_challenge_that_cannot_be_answered_is_a_fault_that_says_what_was_wanted(
    network: Network, provider: PlayedTrunk
) -> None:
    async with network, provider:
        alice = await network.phone("alice", FE1)
        await calls(alice)
        trunk = await provider.links.get()
        await challenged(trunk, realm="other.test")
        assert (await alice.final()).status == 502
        [(name, code, why)] = trunk_faults(network)
        assert (name, code) == (PROVIDER, Cause.LOGIN_FAILS)
        assert "realm 'other.test'" in why
        secret_of(network).chmod(0o644)
        await calls(alice)
        await challenged(trunk)
        await challenged(trunk)
        assert (await alice.final()).status == 502
        assert "our password cannot be used" in trunk_faults(network)[0][2]
