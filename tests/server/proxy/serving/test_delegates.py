"""Which calls are made for another user, and which stay calls of their sender."""

from __future__ import annotations

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.server.proxy.serving.delegates import delegate_in, on_behalf
from sipmesh.sip.message import Request
from support.call_rules import change_rules
from support.network import FE1
from support.running import on_loop
from support.still_server import StillServer, asked, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, CAROL = "sip:alice@example.test", "sip:bob@example.test", "sip:carol@example.test"


def for_bob(method: str = "INVITE", *headers: tuple[str, str], to: str = CAROL) -> Request:
    request = asked(method, to)
    request.replace("from", f"<{ALICE}>;tag=a")
    for name, value in (("p-preferred-identity", f"<{BOB}>"), *headers):
        request.append(name, value)
    return request


def told(server: StillServer, request: Request, peer: str = "") -> object:
    sender = server.server(peer).sender if peer else server.phone("alice").sender
    assert sender is not None
    return on_behalf(server.parts.setup.current.value, sender, request, ToUser(CAROL, ALICE))


@on_loop
async def test_call_is_one_of_the_user_whose_delegate_makes_it(example: Organisation) -> None:
    change_rules(example, "bob", delegates=("alice",))
    async with still_server(example, FE1) as server:
        request = for_bob()
        found = told(server, request)
        assert isinstance(found, ToUser)
        assert (found.aor, found.identity) == (CAROL, BOB)
        assert request.first("from") == f'"alice for bob" <{ALICE}>;tag=a'
        assert delegate_in(server.parts.setup.current.value, request, BOB) == ALICE
        assert delegate_in(server.parts.setup.current.value, request, ALICE) == ""
        sender = server.phone("alice").sender
        assert sender is not None
        onward = on_behalf(server.parts.setup.current.value, sender, for_bob(), Forward((), ALICE))
        assert isinstance(onward, Forward)
        assert onward.identity == BOB


@on_loop
async def test_call_for_a_user_who_has_named_no_delegate_is_refused(example: Organisation) -> None:
    async with still_server(example, FE1) as server:
        refused = told(server, for_bob())
        assert isinstance(refused, Answer)
        assert (refused.status, refused.why) == (
            403,
            "bob@example.test has not named alice@example.test as a delegate",
        )


@pytest.mark.parametrize(
    ("request_", "peer"),
    [
        (for_bob("MESSAGE"), ""),
        (for_bob("INVITE", ("privacy", "id")), ""),
        (for_bob("INVITE"), FE1),
        (asked("INVITE", CAROL), ""),
    ],
    ids=["message", "withheld", "server", "own"],
)
@on_loop
async def test_other_requests_stay_those_of_their_sender(example: Organisation, request_: Request, peer: str) -> None:
    async with still_server(example, FE1) as server:
        found = told(server, request_.copy(), peer)
        assert isinstance(found, ToUser)
        assert found.identity == ALICE
