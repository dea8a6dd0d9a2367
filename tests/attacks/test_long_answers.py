"""A user cannot have a server write what the next server would not read: the link of all users would close."""

from __future__ import annotations

from sipmesh.sip.message import Request
from support.network import EDGE, Network
from support.peer import Peer
from support.running import on_loop

LONG = "\U0001f600" * 249
"""A public GRUU writes each of these characters in twelve."""

CONTACTS, VIAS = 9, 240
SUPPORTED = ("supported", "gruu, path")


def query(peer: Peer, vias: int) -> Request:
    """A REGISTER that asks for the registrations, with so many further Vias, which its answer repeats."""
    further = [("via", f"SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK{n}{'x' * 195}") for n in range(vias)]
    asked = peer.request("REGISTER", "sip:example.test", [SUPPORTED, *further], to=f"<sip:{peer.user}>")
    asked.remove("contact")
    return asked


@on_loop
async def test_long_answer_to_a_register_becomes_a_513_and_the_link_of_all_users_stays(remote: Network) -> None:
    async with remote:
        bob, alice = await remote.phone("bob", EDGE), await remote.phone("alice", EDGE)
        for n in range(CONTACTS):
            alice.contact = f'<sip:{"a" * 900}{n}@127.0.0.1:{5000 + n};transport=tls>;+sip.instance="<urn:{LONG}{n}>"'
            asked = alice.request("REGISTER", "sip:example.test", [SUPPORTED], to=f"<sip:{alice.user}>")
            assert (await alice.ask(asked)).status == 200
        carrying = {link for link in remote.nodes[EDGE].pool.all() if link.peer_name}
        assert carrying
        assert (await alice.ask(query(alice, VIAS))).status == 513
        assert (await alice.ask(query(alice, 0))).status == 200
        assert (await bob.ask(bob.request("MESSAGE", "sip:nobody@example.test"))).status == 404
        assert carrying <= set(remote.nodes[EDGE].pool.all())
