"""Trunks without a certificate: who may make calls in the name of one, and who may not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.sip.digest import Algorithm, answer, parse_challenge
from sipmesh.sip.message import Request, Response
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks

PASSWORD = "correct horse battery"
TO_ALICE = f"sip:{ALICE}@{GATEWAYS}"
ELSEWHERE = "127.0.0.9"


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """A provider and a PBX without certificates, each with a port and a password of its own."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    network = Network((example,), starts=(FE1, GATEWAY))
    for name in (PROVIDER, PBX):
        secret = example.folder / "secrets" / name
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(f"{PASSWORD} of {name}\n")
        secret.chmod(0o600)
        challenge = {"user": name.split(".")[0], "secret_file": f"secrets/{name}", "networks": [f"{HOST}/32"]}
        entry(network, name)["trunk"] |= {"port": free_port(), "calls_per_second": 100, "challenge": challenge}
    example.write()
    return network


def entry(network: Network, trunk: str) -> dict[str, Any]:
    """The entry of a trunk in the document."""
    federation: Any = network.organisations[0].document["federation"]
    found: dict[str, Any] = next(one for one in federation["partners"] if one["domains"] == [trunk])
    return found


def change(network: Network, trunk: str, **keys: object) -> None:
    """Change keys of the challenge of a trunk."""
    entry(network, trunk)["trunk"]["challenge"] |= keys
    network.organisations[0].write()


async def opened(network: Network, trunk: str = PROVIDER, source: str = HOST) -> Peer:
    """A link to the port of a trunk, without a certificate."""
    return await Peer.open((HOST, entry(network, trunk)["trunk"]["port"]), f"{OUTSIDE}@{trunk}", source=source)


def invite(peer: Peer, *headers: tuple[str, str]) -> Request:
    """A call of the trunk to alice."""
    return peer.request(
        "INVITE",
        TO_ALICE,
        [("content-type", SDP), *headers],
        SDES,
        sender=f"<sip:{OUTSIDE}@198.51.100.7>;tag={peer.tag}",
    )


async def challenged(peer: Peer, request: Request | None = None) -> Response:
    """The challenge of a request."""
    response = await peer.ask(request or invite(peer))
    assert response.status == 407, response
    return response


def credentials(
    challenge: Response,
    user: str = "sbc",
    password: str = f"{PASSWORD} of {PROVIDER}",
    algorithms: Sequence[Algorithm] = tuple(Algorithm),
    method: str = "INVITE",
) -> tuple[str, str]:
    """The answer to a challenge by the strongest algorithm that the trunk knows."""
    found = [parse_challenge(value) for value in challenge.values("proxy-authenticate")]
    known = [one for one in found if one.algorithm in algorithms]
    return "proxy-authorization", answer(known, user, password, method, TO_ALICE, "cnonce", 1)


async def rings(network: Network, peer: Peer, header: tuple[str, str], phone: Peer | None = None) -> Request:
    """A call of a trunk with this header field, which reaches alice; the INVITE that she gets."""
    alice = phone or await network.phone("alice", FE1)
    await peer.send(invite(peer, header))
    came = await alice.request_in("INVITE")
    await alice.reply(came, 486)
    assert (await peer.final()).status == 486
    return came


@pytest.mark.parametrize(
    ("offered", "known"), [("SHA-256", Algorithm.SHA_256), ("MD5", Algorithm.MD5), ("MD5", Algorithm.SHA_256)]
)
@on_loop
async def test_trunk_logs_in_once_on_its_link_and_calls_by_its_number(
    network: Network, offered: str, known: Algorithm
) -> None:
    """Its credentials go no further; a second call on the link is not challenged."""
    change(network, PROVIDER, algorithm=offered)
    async with network, await opened(network) as trunk:
        first = await challenged(trunk)
        alice = await network.phone("alice", FE1)
        came = await rings(network, trunk, credentials(first, algorithms=[known]), alice)
        assert came.from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
        assert (came.values("proxy-authorization"), came.values("authorization")) == ([], [])
        await alice.request_in("ACK")
        await rings(network, trunk, ("subject", "again"), alice)


@on_loop
async def test_sha_256_alone_is_offered_unless_the_topology_says_md5(network: Network) -> None:
    async with network, await opened(network) as trunk:
        found = (await challenged(trunk)).values("proxy-authenticate")
        assert [parse_challenge(value).algorithm for value in found] == [Algorithm.SHA_256]


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("sbc", "wrong", id="wrong password"),
        pytest.param("pbx", f"{PASSWORD} of {PBX}", id="login of another trunk"),
        pytest.param("pbx", f"{PASSWORD} of {PROVIDER}", id="name of another trunk"),
        pytest.param("alice", "alice-secret", id="login of a user"),
    ],
)
@on_loop
async def test_wrong_login_is_challenged_again_and_the_right_one_passes(
    network: Network, user: str, password: str
) -> None:
    async with network, await opened(network) as trunk:
        first = await challenged(trunk)
        again = await challenged(trunk, invite(trunk, credentials(first, user, password)))
        await rings(network, trunk, credentials(again))


@on_loop
async def test_link_is_closed_after_eight_wrong_passwords_and_a_new_one_may_log_in(network: Network) -> None:
    async with network, await opened(network) as trunk:
        found = await challenged(trunk)
        for _ in range(7):
            found = await challenged(trunk, invite(trunk, credentials(found, password="wrong")))
        await trunk.send(invite(trunk, credentials(found, password="wrong")))
        await trunk.hung_up()
        async with await opened(network) as other:
            await rings(network, other, credentials(await challenged(other)))


@on_loop
async def test_trunk_at_another_address_is_refused_and_its_own_address_passes(network: Network) -> None:
    async with network:
        async with await opened(network, source=ELSEWHERE) as stranger:
            with pytest.raises(HungUpError):
                await stranger.ask(invite(stranger))
        assert network.nodes[GATEWAY].gatekeeper.refusals[-1].code == "partner-unknown"
        async with await opened(network) as trunk:
            await rings(network, trunk, credentials(await challenged(trunk)))


@on_loop
async def test_credentials_of_one_link_count_on_no_other_link(network: Network) -> None:
    """A nonce is of one link: what was recorded there, also unused, is challenged again on another."""
    async with network, await opened(network) as trunk, await opened(network) as thief:
        unused = credentials(await challenged(trunk))
        again = await challenged(thief, invite(thief, unused))
        assert parse_challenge(again.values("proxy-authenticate")[0]).stale
        await rings(network, trunk, unused)
        await challenged(thief, invite(thief, unused))


@on_loop
async def test_trunk_logs_in_at_its_own_port_only(network: Network) -> None:
    async with network:
        async with await opened(network, PBX) as wrong:
            first = await challenged(wrong)
            await challenged(wrong, invite(wrong, credentials(first)))
        async with await opened(network) as trunk:
            await rings(network, trunk, credentials(await challenged(trunk)))


@on_loop
async def test_peer_without_a_certificate_is_refused_at_the_port_of_trunks_that_have_one(network: Network) -> None:
    del entry(network, PBX)["trunk"]["challenge"]
    network.organisations[0].write()
    async with network:
        async with await opened(network, PBX) as stranger:
            with pytest.raises(HungUpError):
                await stranger.ask(invite(stranger))
        async with await opened(network) as trunk:
            await rings(network, trunk, credentials(await challenged(trunk)))


@pytest.mark.parametrize("method", ["BYE", "CANCEL", "OPTIONS", "UPDATE", "INFO"])
@on_loop
async def test_nothing_passes_before_the_login(network: Network, method: str) -> None:
    async with network, await opened(network) as trunk:
        answered = await trunk.ask(trunk.request(method, TO_ALICE, to=f"<{TO_ALICE}>;tag=x"))
        assert answered.status == (481 if method == "CANCEL" else 407)


@on_loop
async def test_calls_of_users_leave_on_links_that_the_gateway_opens_and_never_on_such_a_link(
    network: Network, provider: PlayedTrunk
) -> None:
    """There the certificate of the trunk is judged."""
    async with network, provider, await opened(network) as trunk:
        await rings(network, trunk, credentials(await challenged(trunk)))
        alice = await network.phone("alice", FE1)
        call = alice.request("INVITE", f"tel:{OUTSIDE}", [("content-type", SDP)], SDES)
        await alice.send(call)
        real = await provider.links.get()
        await real.reply(await real.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486


@on_loop
async def test_link_is_closed_when_the_trunk_has_to_present_a_certificate(network: Network) -> None:
    async with network, await opened(network) as trunk:
        await rings(network, trunk, credentials(await challenged(trunk)))
        del entry(network, PROVIDER)["trunk"]["challenge"]
        network.organisations[0].write()
        network.nodes[GATEWAY].put_in_force(network.organisations[0].load())
        await trunk.hung_up()


@pytest.mark.parametrize("is_there", [True, False], ids=["changed", "removed"])
@on_loop
async def test_changed_password_closes_the_link_of_its_trunk_and_no_other(network: Network, *, is_there: bool) -> None:
    """Who knows the old password alone has nothing left. A file that is written again as it was changes nothing."""
    secret = network.organisations[0].folder / "secrets" / PROVIDER
    async with network, await opened(network) as trunk, await opened(network, PBX) as other:
        alice = await network.phone("alice", FE1)
        await rings(network, trunk, credentials(await challenged(trunk)), alice)
        await alice.request_in("ACK")
        shown = credentials(await challenged(other), "pbx", f"{PASSWORD} of {PBX}", method="OPTIONS")
        assert (await other.ask(other.request("OPTIONS", TO_ALICE, [shown]))).status == 200
        secret.write_text(secret.read_text())
        network.nodes[GATEWAY].sweep.tick()
        await rings(network, trunk, ("subject", "again"), alice)
        await alice.request_in("ACK")
        if is_there:
            secret.write_text("another one\n")
        else:
            secret.unlink()
        network.nodes[GATEWAY].sweep.tick()
        await trunk.hung_up()
        assert (await other.ask(other.request("OPTIONS", TO_ALICE))).status == 200
        async with await opened(network) as again:
            response = await again.ask(invite(again))
            assert response.status == (407 if is_there else 503)
            if is_there:
                refused = await challenged(again, invite(again, credentials(response)))
                await rings(network, again, credentials(refused, password="another one"), alice)


@on_loop
async def test_trunks_with_the_same_user_keep_their_links_and_lose_them_with_their_own_password(
    network: Network,
) -> None:
    """One password that is changed, or cannot be read, closes the links of its trunk alone, whichever logged in first."""
    change(network, PBX, user="sbc")
    async with network, await opened(network, PBX) as first, await opened(network) as trunk:
        alice = await network.phone("alice", FE1)
        shown = credentials(await challenged(first), "sbc", f"{PASSWORD} of {PBX}", method="OPTIONS")
        assert (await first.ask(first.request("OPTIONS", TO_ALICE, [shown]))).status == 200
        await rings(network, trunk, credentials(await challenged(trunk)), alice)
        await alice.request_in("ACK")
        for _ in range(3):
            network.nodes[GATEWAY].sweep.tick()
        await rings(network, trunk, ("subject", "again"), alice)
        assert (await first.ask(first.request("OPTIONS", TO_ALICE))).status == 200
        (network.organisations[0].folder / "secrets" / PROVIDER).unlink()
        network.nodes[GATEWAY].sweep.tick()
        await trunk.hung_up()
        assert (await first.ask(first.request("OPTIONS", TO_ALICE))).status == 200
