"""The branches and octets of a request on the account of its sender, and that none of them is left at the end."""

from __future__ import annotations

from routing.messages import request
from sipmesh.server.proxy.flow import ProxiedRequest, SentBranch
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.quotas.usage import Usage
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.server import ServerTransaction
from support.network import FE1, Network
from support.received import received
from support.running import on_loop, until


async def proxied_in(home: Network) -> tuple[ProxiedRequest, FlowTable]:
    """A request on the flow of a phone, with its own account."""
    await home.phone("alice", FE1)
    table = home.nodes[FE1].flow_table
    await until(lambda: [one for one in table.sessions() if one.users])
    [flow] = table.sessions()
    made = ProxiedRequest(received(flow, request()), ServerTransaction(invite=True))
    made.account = Usage("user", "sip:alice@example.test", 10, 10_000)
    return made, table


def branch_of(proxied: ProxiedRequest, body: bytes) -> SentBranch:
    sent = request()
    sent.body = body
    return SentBranch(proxied, 0, "z9hG4bK1", proxied.flow, sent, ClientTransaction(invite=True))


@on_loop
async def test_request_replaces_its_previous_octet_count(home: Network) -> None:
    async with home:
        proxied, _ = await proxied_in(home)
        proxied.hold(500)
        proxied.hold(200)
        assert (proxied.account.octets, proxied.account.branches) == (200, 0)
        proxied.hold(0)
        assert proxied.account.idle


@on_loop
async def test_answered_branch_waits_no_longer_and_drops_its_body(home: Network) -> None:
    async with home:
        proxied, _ = await proxied_in(home)
        branch = branch_of(proxied, b"x" * 300)
        branch.count(1_000)
        assert (proxied.account.branches, proxied.account.octets) == (1, 1_000)
        for _ in range(2):
            branch.settle()
            assert (proxied.account.branches, proxied.account.octets, branch.request.body) == (0, 700, b"")
        branch.forget()
        assert proxied.account.idle


@on_loop
async def test_branch_that_is_forgotten_before_its_answer_counts_nothing(home: Network) -> None:
    async with home:
        proxied, _ = await proxied_in(home)
        branch = branch_of(proxied, b"")
        branch.count(1_000)
        for _ in range(2):
            branch.forget()
            assert proxied.account.idle


@on_loop
async def test_call_rings_until_its_branch_is_answered_or_forgotten(home: Network) -> None:
    async with home:
        proxied, _ = await proxied_in(home)
        flow, call_id = proxied.flow, proxied.request.call_id
        answered, forgotten = branch_of(proxied, b""), branch_of(proxied, b"")
        for branch in (answered, forgotten):
            branch.count(1_000)
        answered.settle()
        answered.forget()
        assert (flow.rings(call_id), flow.rings("another")) == (True, False)
        forgotten.forget()
        assert not flow.rings(call_id)


@on_loop
async def test_call_from_the_peer_rings_until_its_final_response_or_its_end(home: Network) -> None:
    """However many requests have come after it."""
    async with home:
        proxied, _ = await proxied_in(home)
        flow, call_id = proxied.flow, proxied.request.call_id
        for _ in range(2):
            proxied.ring()
        assert flow.rings(call_id)
        for _ in range(2):
            proxied.ring_no_more()
            assert not flow.rings(call_id)
