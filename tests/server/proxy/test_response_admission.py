"""Which responses are forwarded at all, and what a trunk may ask of a caller."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import RemoteError
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.message import Request
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, Network
from support.running import on_loop
from support.still_server import answer, asked, forward, sent_to, statuses, still_server, written_on
from support.trunks import GATEWAY, OF_PBX, PROVIDER

still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


@still
@on_loop
async def test_response_on_a_link_without_a_sender_is_refused(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        first, second = [sent_to(server, alice, asked("MESSAGE"), bob) for _ in range(2)]
        assert answer(server, bob, first, 200)
        bob.sender = None
        with pytest.raises(RemoteError, match="without a sender"):
            answer(server, bob, second, 200)
        assert statuses(alice) == [200, 502]


@still
@on_loop
async def test_challenge_of_a_trunk_without_a_password_is_not_handed_on(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        inside = server.server(FE1)
        request, number = asked("INVITE", f"sip:{OF_PBX}@example.test"), f"sip:{OF_PBX}@{PROVIDER}"
        forward(server, inside, request, ServerTarget((PROVIDER,), LinkKind.PARTNER, number))
        [trunk] = server.links.made.values()
        came = written_on(trunk)[-1]
        assert isinstance(came, Request)
        answer(server, trunk, came, 401, ("www-authenticate", 'Digest realm="p", nonce="n"'))
        assert statuses(inside) == [100, 502]
