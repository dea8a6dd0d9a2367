"""A signed call counts once at both workers of a gateway, over real links of its trunk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from routing.messages import request
from sipmesh.demo.organisation import Organisation
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.used_passports import UsedPassports
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.number_signer import NumberSigner, token
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of
from support.telling import Told
from support.trunks import ALICE, GATEWAY, GATEWAYS, OUTSIDE, PROVIDER, PlayedTrunk, with_trunks

URL = "https://certs.provider.test/shaken.pem"
SIGNERS = NumberSigner()
SIGNER = SIGNERS.signer()
LATER = 3
"""The start of the process that replaces worker 2."""


@dataclass
class World:
    """A gateway of two workers that demands signatures, a front end, and alice; the certificate of the signer has arrived."""

    pair: Pair
    provider: PlayedTrunk
    alice: Peer

    async def trunk(self, worker: int) -> Peer:
        """A link of the provider to a worker."""
        shown = self.provider.organisation.credentials(PROVIDER)
        peer = await Peer.open(self.pair.address(worker, LinkKind.PARTNER), f"{OUTSIDE}@{PROVIDER}", shown)
        return await self.pair.stack.enter_async_context(peer)

    async def known(self, worker: int, tokens: int) -> None:
        """Wait until a worker knows of so many tokens."""
        await until(lambda: len([*self.pair.nodes[worker].numbers._used.entries()]) == tokens)

    async def rings(self, trunk: Peer, invite: Request) -> None:
        """A call of the trunk, which alice gets and does not take."""
        await trunk.send(invite)
        await self.alice.reply(await self.alice.request_in("INVITE"), 486)
        await self.alice.request_in("ACK")
        assert (await trunk.final()).status == 486


def call(trunk: Peer, field: str) -> Request:
    """An INVITE of its own with this Identity."""
    given = [("content-type", SDP), ("identity", field)]
    sender = f"<sip:{OUTSIDE}@{PROVIDER}>;tag={trunk.tag}"
    return trunk.request("INVITE", f"sip:{ALICE}@{GATEWAYS}", given, SDES, sender=sender)


def signed(at: int = 0) -> str:
    """A token for a call to alice; each has a signature of its own."""
    return token(SIGNER, URL, OUTSIDE, ALICE, at=at)


@asynccontextmanager
async def world(
    models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, folder: Path
) -> AsyncIterator[World]:
    example = with_trunks(models[EXAMPLE], provider, pbx, folder)
    (folder / "partners").mkdir(exist_ok=True)
    (folder / "partners" / "sti.pem").write_bytes(SIGNERS.root.certificate.public_bytes(Encoding.PEM))
    federation: Any = example.document["federation"]
    federation["partners"][0]["trunk"]["stir"] = {
        "incoming": "require",
        "anchors": ["partners/sti.pem"],
        "hosts": ["certs.provider.test"],
    }
    example.write()
    async with Network((example,), starts=(FE1,)) as network, pair_of(example, GATEWAY, supervised=True) as pair:
        for worker in (ONE, TWO):
            pair.nodes[worker].numbers.chains.arrived(PROVIDER, URL, SIGNER.chain)
        yield World(pair, provider, await network.phone("alice", FE1))


@on_loop
async def test_token_of_a_call_at_one_worker_counts_for_no_other_call_at_the_other(
    trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path
) -> None:
    """The same INVITE may come again, as after a failed link; a token of its own lets the other call pass."""
    async with world(trunk_models, provider, pbx, tmp_path / "example") as here:
        one, two = [await here.trunk(worker) for worker in (ONE, TWO)]
        used = signed()
        invite = call(one, used)
        await here.rings(one, invite)
        await here.known(TWO, 1)
        assert (await two.ask(call(two, used))).status == 438
        await here.rings(two, invite)
        await here.rings(two, call(two, signed()))


@on_loop
async def test_worker_that_starts_later_knows_the_tokens_that_were_used(
    trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path
) -> None:
    async with world(trunk_models, provider, pbx, tmp_path / "example") as here:
        one, used = await here.trunk(ONE), signed()
        await here.rings(one, call(one, used))
        await here.known(0, 1)
        await here.pair.replace(TWO, LATER)
        await here.known(TWO, 1)
        here.pair.nodes[TWO].numbers.chains.arrived(PROVIDER, URL, SIGNER.chain)
        two = await here.trunk(TWO)
        assert (await two.ask(call(two, used))).status == 438
        await here.rings(two, call(two, signed()))


def test_question_whether_a_token_was_used_uses_none() -> None:
    used = UsedPassports(OtherProcesses(), LimitedLog(Told().log, lambda: 0.0, each=9, total=9, window_s=60.0))
    assert not used.is_used(PROVIDER, b"m")
    assert not used.is_replayed(PROVIDER, b"m", None, 0)
    assert [used.is_used(PROVIDER, mark) for mark in (b"m", b"n")] == [True, False]
    assert not used.is_used(EXAMPLE, b"m")


def test_token_that_came_to_both_workers_in_one_instant_is_logged() -> None:
    told = Told()
    used = UsedPassports(OtherProcesses(), LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=60.0))
    assert not used.is_replayed(PROVIDER, b"m", request("INVITE", f"sip:{ALICE}@{EXAMPLE}"), 0)
    [use] = used.entries()
    used.used_elsewhere([use])
    assert not told.lines
    used.used_elsewhere([use._replace(call="another call")])
    assert [line["peer"] for line in told.events("two calls with one token came in the same instant")] == [PROVIDER]
