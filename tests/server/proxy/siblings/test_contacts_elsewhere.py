"""A registered Contact as an address, where the phone has its link at another worker."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from support.peer import Peer
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of


def contact_of(peer: Peer) -> str:
    """The URI in the Contact of a phone."""
    return peer.contact.partition("<")[2].partition(">")[0]


def address_of(peer: Peer) -> str:
    """The user name and the host of that Contact, as they are compared."""
    return contact_of(peer).removeprefix("sip:").partition(";")[0].rpartition(":")[0]


def owner(pair: Pair, worker: int, peer: Peer) -> str:
    """Whose Contact that of *peer* is, as *worker* knows it."""
    return pair.nodes[worker].registrations.owner_at(address_of(peer))


@pytest.mark.parametrize("worker", [ONE, TWO])
@on_loop
async def test_request_to_a_registered_contact_reaches_the_phone_at_any_worker(
    example: Organisation, worker: int
) -> None:
    """The INVITE of an attended transfer goes to the Contact of the third phone, as linphone's Refer-To says."""
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.phone("bob", worker)
        await until(lambda: owner(pair, ONE, bob))
        await alice.send(alice.request("INVITE", f"{contact_of(bob)};ob", [("replaces", "a;to-tag=b;from-tag=c")]))
        came = await bob.request_in("INVITE")
        assert (came.uri, came.values("replaces")) == (contact_of(bob), ["a;to-tag=b;from-tag=c"])
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_address_that_no_user_has_registered_is_unknown_at_both_workers(example: Organisation) -> None:
    async with pair_of(example) as pair:
        alice, bob = await pair.phone("alice", ONE), await pair.peer("bob", TWO)
        refused = await alice.ask(alice.request("MESSAGE", contact_of(bob)))
        assert refused.status in {404, 480}  # another server of the pool may have it: it is asked, and does not run
        assert owner(pair, ONE, bob) == owner(pair, TWO, bob) == ""


@on_loop
async def test_contact_is_forgotten_with_its_row_and_with_its_worker(example: Organisation) -> None:
    async with pair_of(example) as pair:
        bob, carol = await pair.phone("bob", TWO), await pair.phone("carol", TWO)
        await until(lambda: owner(pair, ONE, bob) == "sip:bob@example.test")
        await until(lambda: owner(pair, ONE, carol) == "sip:carol@example.test")
        await bob.__aexit__()
        await until(lambda: not owner(pair, ONE, bob))
        assert owner(pair, ONE, carol)
        pair.siblings(TWO).close()
        await until(lambda: not owner(pair, ONE, carol))


@on_loop
async def test_worker_that_comes_up_gets_the_contacts_that_are_there(example: Organisation) -> None:
    async with pair_of(example) as pair:
        bob = await pair.phone("bob", TWO)
        await until(lambda: owner(pair, ONE, bob))
        pair.siblings(TWO).close()
        await until(lambda: not owner(pair, ONE, bob))
        pair.connect()
        await until(lambda: owner(pair, ONE, bob))
