"""A REGISTER that a phone repeats is answered from its octets, and is decided again as soon as anything has changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from sipmesh.routing.overload import OverloadControl
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import Request, Response
from support.bindings import bound
from support.network import FE1, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until

ALICE = "sip:alice@example.test"


class Phone:
    """Alice's phone after two refreshes that were read: from now on each is known by its octets."""

    def __init__(self, peer: Peer, node: RunningServer) -> None:
        self.peer, self.node = peer, node
        self._cseq = 100

    def request(self, *headers: tuple[str, str], cseq: int | None = None, call_id: str = "refreshes") -> Request:
        """The next REGISTER."""
        self._cseq += 1
        to = f"<{ALICE}>"
        return self.peer.request(
            "REGISTER", "sip:example.test", headers, to=to, call_id=call_id, cseq=cseq or self._cseq
        )

    async def refresh(self, *headers: tuple[str, str], cseq: int | None = None, call_id: str = "refreshes") -> Response:
        """Send the next REGISTER."""
        return await self.peer.ask(self.request(*headers, cseq=cseq, call_id=call_id))

    @property
    def read(self) -> int:
        """How many refreshes were read, and not known by their octets."""
        [flow] = self.node.flow_table.sessions()
        assert flow.refresh is not None
        return flow.refresh.renewals


async def refreshing(home: Network) -> Phone:
    """A phone whose refreshes are known."""
    phone = Phone(await home.phone("alice", FE1), home.nodes[FE1])
    for _ in range(2):
        assert (await phone.refresh()).status == 200
    assert phone.read == 1
    return phone


@on_loop
async def test_repeated_register_is_answered_as_the_register_before_it(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        before, [row] = await phone.refresh(), await bound(phone.node, ALICE)
        began = row.expires_at
        for _ in range(3):
            answer = await phone.refresh(("authorization", "Digest nonce"))
            answer = await phone.refresh()
            assert (answer.status, answer.count("date")) == (200, 1)
            assert [r.line for r in answer.rows if r.name not in {"via", "cseq", "date"}] == [
                r.line for r in before.rows if r.name not in {"via", "cseq", "date"}
            ]
        assert row.cseq == phone.node.registrations.here(1, ("", ""))[0].cseq == answer.cseq.number
        assert row.expires_at > began
        [flow] = phone.node.flow_table.sessions()
        assert flow.link.messages_in == flow.link.messages_out


@on_loop
async def test_each_answer_has_a_temporary_gruu_of_its_own(home: Network) -> None:
    """RFC 5627 section 5.3: and the GRUU before it is valid too."""
    async with home:
        phone = Phone(await home.peer(FE1, "alice@example.test"), home.nodes[FE1])
        phone.peer.contact += ';+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
        assert (await phone.peer.register([("supported", "gruu")])).status == 200
        answers = [await phone.refresh(("supported", "gruu")) for _ in range(5)]
        gruus = [contact.param("temp-gruu") for answer in answers for contact in answer.contacts if contact.params]
        given = [gruu for gruu in gruus if gruu]
        assert len(given) == len(set(given)) == 5
        assert phone.read == 1
        assert len({contact.param("pub-gruu") for contact in answers[-1].contacts} - {None}) == 1


@on_loop
async def test_refreshes_are_known_after_the_first_that_was_read(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        for _ in range(5):
            assert (await phone.refresh()).status == 200
        assert phone.read == 1


@on_loop
async def test_phone_that_changes_a_row_each_time_is_looked_at_ever_more_rarely(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        for number in range(9):
            assert (await phone.refresh(("user-agent", f"phone {number}"))).status == 200
        assert phone.read == 10


@pytest.mark.parametrize(("cseq", "status"), [(103, 200), (102, 500), (1, 500)])
@on_loop
async def test_register_that_is_not_newer_is_refused(home: Network, cseq: int, status: int) -> None:
    """RFC 3261 section 10.3 step 7."""
    async with home:
        phone = await refreshing(home)
        assert (await phone.refresh(cseq=cseq)).status == status


@on_loop
async def test_register_in_another_dialog_is_read(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        assert (await phone.refresh(call_id="another", cseq=1)).status == 200
        assert phone.read == 2
        assert (await phone.refresh(cseq=1)).status == 200
        assert phone.read == 3


@on_loop
async def test_second_phone_of_the_user_is_listed_in_the_next_answer(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        assert len((await phone.refresh()).contacts) == 1
        await home.phone("alice", FE1)
        assert len((await phone.refresh()).contacts) == 2


@on_loop
async def test_removed_binding_is_stored_again(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        [row] = await bound(phone.node, ALICE)
        phone.node.registrations.forget(row)
        assert await bound(phone.node, ALICE) == []
        assert (await phone.refresh()).status == 200
        assert len(await bound(phone.node, ALICE)) == 1


@on_loop
async def test_draining_server_refuses_it(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        phone.node.core.drain()
        assert (await phone.refresh()).status == 503


@on_loop
async def test_overloaded_server_refuses_it(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        overload: OverloadControl = phone.node.reactor.overload
        overload.active, overload.loss = True, 2.0
        assert (await phone.refresh()).status == 503
        overload.active, overload.loss = False, 0.0
        assert (await phone.refresh()).status == 200


@on_loop
async def test_user_above_a_limit_is_refused(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        [flow] = phone.node.flow_table.sessions()
        flow.account.add(phone.node.reactor.limits.branches_per_user + 1, 0)
        assert flow.account.full
        assert (await phone.refresh()).status == 503


@on_loop
async def test_another_topology_decides_again(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        current = phone.node.current
        current.value = replace(current.value)
        assert (await phone.refresh()).status == 200
        assert phone.read == 2


@on_loop
async def test_another_login_on_the_link_decides_again(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        [flow] = phone.node.flow_table.sessions()
        flow.proved("sip:bob@example.test", 1)
        assert (await phone.refresh()).status == 200
        assert phone.read == 2


@on_loop
async def test_requests_that_come_together_are_read(home: Network) -> None:
    """Two REGISTERs in one record, and one in two halves."""
    async with home:
        phone = await refreshing(home)
        await phone.peer.send(phone.request(), phone.request())
        assert [(await phone.peer.final()).status for _ in range(2)] == [200, 200]
        [flow] = phone.node.flow_table.sessions()
        before, octets = flow.link.bytes_in, phone.request().encode()
        await phone.peer.write(octets[:100])
        await until(lambda: flow.link.bytes_in > before)
        await phone.peer.write(octets[100:])
        assert (await phone.peer.final()).status == 200
        assert phone.read == 4


@on_loop
async def test_form_of_one_link_serves_no_other(home: Network) -> None:
    """A stranger who sends the octets of a registered phone is challenged."""
    async with home:
        phone = await refreshing(home)
        stranger = await home.peer(FE1, "alice@example.test")
        octets = phone.request().encode()
        await stranger.write(octets)
        assert (await stranger.final()).status == 401
        await phone.peer.write(octets)
        assert (await phone.peer.final()).status == 200


@on_loop
async def test_form_goes_with_its_link(home: Network) -> None:
    async with home:
        phone = await refreshing(home)
        [flow] = phone.node.flow_table.sessions()
        assert flow.link.repeated is not None
        flow.link.close("test")
        with suppress(HungUpError):
            await phone.peer.receive()
        assert flow.link.repeated is None


@on_loop
async def test_server_that_is_about_to_stop_decides_a_repeated_register(home: Network) -> None:
    """It grants a minute from then on, also to a phone that is known by its octets."""
    async with home:
        phone = await refreshing(home)
        assert (await phone.refresh()).contacts[0].param("expires") == "600"
        phone.node.registrations.shorten()
        for _ in range(4):
            assert (await phone.refresh()).contacts[0].param("expires") == "60"
