"""A user who begins a second call with the Call-ID and both tags of a call that is up: the first one must not be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.client.dialog import Dialog
from support.network import FE1, PARTNER_FE, Network
from support.peer import Peer
from support.recording import made_at, with_records
from support.running import on_loop
from support.talking import inside_of, talking

if TYPE_CHECKING:
    from sipmesh.server.proxy.relay import Relay


async def copied(alice: Peer, accomplice: Peer, call_id: str, tag: str) -> tuple[Dialog, Dialog]:
    """Call *accomplice*, who answers with the tag of another callee; give the dialog of each side."""
    accomplice.tag = tag
    came, _, dialog = await talking(alice, accomplice, call_id)
    await accomplice.request_in("ACK")
    return dialog, Dialog.of_callee(came, tag)


async def hung_up(sender: Peer, receiver: Peer, dialog: Dialog) -> int:
    await sender.send(inside_of(dialog, sender, "BYE"))
    await receiver.reply(await receiver.request_in("BYE"), 200)
    return (await sender.final(method="BYE")).status


def known(relay: Relay) -> tuple[int, int]:
    """How many calls are in the table, and how many have a record without an end."""
    return len(relay.calls.table), len(relay.calls.records.up)


def ended(network: Network) -> list[str]:
    """Whose records have ended since the last look."""
    return [record.callee for record in made_at(network, FE1) if not record.is_up]


@pytest.mark.parametrize("by_caller", [True, False], ids=["the-caller", "the-accomplice"])
@on_loop
async def test_bye_of_a_copied_dialog_ends_the_copy_and_not_the_call(home: Network, *, by_caller: bool) -> None:
    """The control is the BYE of the call itself, which ends its record."""
    async with with_records(home):
        alice, bob, carol = [await home.phone(name, FE1) for name in ("alice", "bob", "carol")]
        relay = home.nodes[FE1].relay
        first, tag, dialog = await talking(alice, bob)
        await bob.request_in("ACK")
        of_alice, of_carol = await copied(alice, carol, first.call_id, tag)
        assert known(relay) == (2, 2)
        status = await (hung_up(alice, carol, of_alice) if by_caller else hung_up(carol, alice, of_carol))
        assert (status, known(relay), ended(home)) == (200, (1, 1), ["carol@example.test"])
        assert await hung_up(alice, bob, dialog) == 200
        assert (known(relay), ended(home)) == ((0, 0), ["bob@example.test"])


@on_loop
async def test_copy_at_home_of_a_call_to_a_partner_ends_no_call_with_the_partner(federated_pools: Network) -> None:
    """Were it forgotten, the call would go on after the partner was removed."""
    async with with_records(federated_pools):
        alice, bob = await federated_pools.phone("alice", FE1), await federated_pools.phone("bob", FE1)
        erin = await federated_pools.phone("erin", PARTNER_FE)
        relay = federated_pools.nodes[FE1].relay
        first, tag, dialog = await talking(alice, erin)
        await erin.request_in("ACK")
        of_alice, _ = await copied(alice, bob, first.call_id, tag)
        assert await hung_up(alice, bob, of_alice) == 200
        assert (known(relay), ended(federated_pools)) == ((1, 1), ["bob@example.test"])
        assert await hung_up(alice, erin, dialog) == 200
        assert (known(relay), ended(federated_pools)) == ((0, 0), ["erin@partner.test"])
