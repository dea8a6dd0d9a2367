"""Bad input: it gets the answer for its fault, or ends its own link and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import LocalError, RemoteError
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.repeated_refresh import RefreshGate
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.transaction.ack import ack_for, cancel_for
from support.network import FE1, FE2, Network
from support.peer import HungUpError
from support.running import on_loop, until
from support.still_server import StillServer, asked, closed, methods, statuses, still_server, written_on

still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")


MALFORMED = (
    (b"Max-Forwards: 70", b"Max-Forwards: 0", 483),
    (b"Max-Forwards: 70", b"Max-Forwards: many", 400),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nProxy-Require: teleport", 420),
    (b"MESSAGE sip:bob@example.test", b"MESSAGE im:bob@example.test", 416),
    (b"MESSAGE sip:bob@example.test", b"MESSAGE tel:42;phone-context=example.test;i=%ua", 400),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: 0", 440),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: wide", 400),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nMax-Breadth: 9\r\nMax-Breadth: 9", 400),
    (b"MESSAGE sip:bob@example.test", b"MESSAGE <sip:bob@example.test>", 400),
    (b"MESSAGE sip:bob@example.test", b"MESSAGE sip:bob@example.test?Route=%3Csip:x%3E", 400),
    (b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia", 505),
    (b"From: <", b'From: "broken <', 400),
    (b"From: ", b"From: <sip:x@example.test>;tag=2\r\nFrom: ", 400),
    (b"CSeq: 4 MESSAGE", b"CSeq: 4 INVITE", 400),
    (b"Contact: ", b"Route: <sip:\r\nContact: ", 400),
    (b"Contact: ", b"Route: ,<sip:example.test;lr>\r\nContact: ", 400),
)
"""What is replaced in a good MESSAGE, by what, and the status that follows."""


@on_loop
async def test_malformed_request_gets_the_status_for_its_fault(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        for number, (old, new, status) in enumerate(MALFORMED):
            good = alice.request("MESSAGE", "sip:bob@example.test", cseq=4).encode()
            wrong = good.replace(old, new, 1)
            assert wrong != good
            await alice.write(wrong)
            assert ((await alice.final()).status, number) == (status, number)
            assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" * 3000,
        b"MESSAGE sip:bob@example.test SIP/2.0\r\n\r\n",
        b"\x00" * 20_000,
        b"A" * 20_000,
    ],
)
@on_loop
async def test_garbage_ends_its_own_link_and_no_other(home: Network, garbage: bytes) -> None:
    async with home:
        alice, stranger = await home.phone("alice", FE1), await home.peer(FE1)
        await stranger.write(garbage)
        await stranger.hung_up()
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        assert list(home.told[FE1].events("unframeable"))


@pytest.mark.parametrize(("announced", "status"), [(b"Content-Length: 131072", 200), (b"Content-Length: 131073", 413)])
@on_loop
async def test_body_of_a_client_has_its_limit(home: Network, announced: bytes, status: int) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        message = alice.request("MESSAGE", "sip:bob@example.test").encode()
        body = b"x" * int(announced.split()[1])
        await alice.write(message.replace(b"Content-Length: 0", announced) + body)
        if status == 200:
            await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == status


@on_loop
async def test_request_uri_has_its_limit_and_is_answered_before_the_link_ends(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        await alice.send(alice.request("MESSAGE", f"sip:{'b' * 20_000}@example.test", to="<sip:bob@example.test>"))
        assert (await alice.final()).status == 414
        with pytest.raises(HungUpError):
            await alice.receive()


@on_loop
async def test_empty_fields_are_accepted(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        empty = [(name, "") for name in ("route", "record-route", "privacy", "proxy-require", "reason", "require")]
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test", empty))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_response_without_a_request_is_dropped(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        await alice.reply(came, 200)  # on the wrong link
        stray = bob.request("MESSAGE", "sip:alice@example.test")
        await bob.reply(stray, 200)  # to no request that was sent
        await alice.silent()
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_options_lists_the_abilities_and_refuses_unsupported_options(home: Network) -> None:
    async with home:
        stranger = await home.peer(FE1)
        answered = await stranger.ask(stranger.request("OPTIONS", "sip:example.test"))
        assert answered.status == 200
        assert "MESSAGE" in (answered.first("allow") or "")
        required = stranger.request("OPTIONS", "sip:example.test", [("require", "teleport")])
        assert (await stranger.ask(required)).values("unsupported") == ["teleport"]


@on_loop
async def test_client_learns_its_address_from_received_and_rport(home: Network) -> None:
    """RFC 3581: received, and rport if it was requested."""
    async with home:
        alice = await home.peer(FE1, "alice")
        request = alice.request("OPTIONS", "sip:example.test")
        request.replace("via", "SIP/2.0/TLS 10.1.2.3:5061;branch=z9hG4bKx;rport")
        answered = await alice.ask(request)
        assert answered.top_via.param("received") == "127.0.0.1"
        assert (answered.top_via.param("rport") or "").isdigit()


# Without a network


@still
@on_loop
async def test_events_of_links_go_to_their_lifecycle(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        told: list[str] = []
        dispatch: Any = server.parts.decisions.dispatch

        class Lifecycle:
            """Notes what it gets."""

            def __getattr__(self, name: str) -> Callable[..., None]:
                return lambda *_: told.append(name)

        dispatch.links = Lifecycle()
        dispatch.judge(None, None)
        dispatch.link_up(None)
        dispatch.refused(None)
        dispatch.upgrade_refused(None, None)
        dispatch.link_down(None, "", None)
        assert told == ["judge", "link_up", "refused", "upgrade_refused", "link_down"]


@still
@on_loop
async def test_stream_that_cannot_be_framed_is_answered_if_it_can_be(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        dispatch, alice = server.parts.decisions.dispatch, server.phone()
        faults: list[Any] = [SimpleNamespace(request=one, status=413) for one in (asked("MESSAGE"), None)]
        answered = [dispatch.faulty(alice.link, fault) for fault in faults]
        assert answered[0] is not None
        assert answered[0].startswith(b"SIP/2.0 413 ")
        assert answered[1] is None
        monkeypatch.setattr("sipmesh.server.proxy.dispatch.respond", unanswerable)
        assert dispatch.faulty(alice.link, faults[0]) is None


def unanswerable(*_: object) -> Response:
    raise RemoteError("no response fits", rule="a rule")


def handed(server: StillServer, flow: Flow, message: Request | Response) -> None:
    """Hand a message to the server, as a link does."""
    server.parts.decisions.dispatch.arrived(flow.link, message)


@still
@on_loop
async def test_retransmission_is_ignored_and_cancel_finds_its_invite(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, bob = server.phone(), server.registered("bob")
        invite = asked("INVITE")
        for _ in range(2):
            handed(server, alice, invite.copy())
        assert methods(bob) == ["INVITE"]
        [came] = [one for one in written_on(bob) if isinstance(one, Request)]
        handed(server, bob, respond(came, 180, to_tag="2"))
        handed(server, alice, cancel_for(invite))
        assert (statuses(alice), methods(bob)) == ([100, 180, 200], ["INVITE", "CANCEL"])
        handed(server, bob, respond(came, 487, to_tag="2"))
        handed(server, alice, cancel_for(invite))
        refused = written_on(alice)[-2]
        assert isinstance(refused, Response)
        assert (refused.status, statuses(alice)[-1]) == (487, 200)
        handed(server, alice, ack_for(invite, refused))
        handed(server, alice, cancel_for(invite))
        assert statuses(alice)[-1] == 481


@pytest.mark.parametrize(
    ("wrong", "status"), [(RemoteError("bad", rule="a rule", status=420), 420), (LocalError("bad"), 500)]
)
@still
@on_loop
async def test_fault_of_a_request_is_answered(
    home: Network, monkeypatch: pytest.MonkeyPatch, wrong: Exception, status: int
) -> None:
    async with still_server(home.organisations[0]) as server:

        def fails(*_: object) -> None:
            raise wrong

        alice = server.phone()
        monkeypatch.setattr(type(server.core), "take", fails)
        handed(server, alice, asked("MESSAGE"))
        handed(server, alice, asked("ACK"))
        assert statuses(alice) == [status]


@still
@on_loop
async def test_response_goes_to_who_has_asked(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch, a request of our own, another process, and last the control plane."""
    async with still_server(home.organisations[0]) as server:
        told: list[str] = []
        response, mate = respond(asked("MESSAGE"), 200, to_tag="2"), server.server(FE2)
        parts = server.parts
        taken: dict[str, bool] = {}

        def takes(name: str) -> bool:
            told.append(name)
            return taken[name]

        for part, name in (
            (parts.relays.relay, "relay"),
            (parts.events, "events"),
            (parts.peers.siblings, "others"),
        ):
            taken[name] = False
            monkeypatch.setattr(type(part), "responded", lambda *_, name=name: takes(name))
        monkeypatch.setattr(
            type(parts.setup.outside.control_plane), "responded", lambda *_: told.append("control plane")
        )
        handed(server, mate, response)
        assert told == ["relay", "events", "others", "control plane"]
        for name in ("others", "events"):
            taken[name] = True
            told.clear()
            handed(server, server.phone(), response)
            assert told[-1] == name
        monkeypatch.setattr(type(parts.events), "responded", lambda *_: raised(LocalError("bad")))
        handed(server, mate, response)
        assert parts.told.last("response refused")["why"] == "bad"


def raised(wrong: Exception) -> bool:
    raise wrong


@still
@on_loop
async def test_malformed_response_ends_what_it_answers(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        told: list[str] = []
        alice, broken = server.phone(), respond(asked("MESSAGE"), 200, to_tag="2")
        broken.replace("cseq", "x")
        server.state.admission.overload.active = True
        monkeypatch.setattr(type(server.parts.events), "responded", lambda *_: told.append("events"))
        handed(server, alice, broken)
        assert told == ["events"]
        monkeypatch.setattr(type(server.parts.relays.relay), "malformed", lambda *_: True)
        handed(server, alice, broken)
        assert told == ["events"]
        monkeypatch.setattr(type(server.parts.relays.relay), "is_answered_without_end", lambda *_: True)
        handed(server, alice, respond(asked("MESSAGE"), 180, to_tag="2"))
        assert told == ["events"] * 2


@still
@on_loop
async def test_register_that_repeats_is_learned(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        learned: list[Request] = []

        def learn(_gate: RefreshGate, _flow: Flow, request: Request) -> None:
            learned.append(request)

        alice = server.phone()
        monkeypatch.setattr(RefreshGate, "learn", learn)
        register = asked(
            "REGISTER", "sip:example.test", ("contact", "<sip:alice@192.0.2.9>"), to="sip:alice@example.test"
        )
        handed(server, alice, register)
        await until(lambda: statuses(alice) == [200])
        again = register.copy()
        again.replace("via", register.values("via")[0] + "x")
        again.replace("cseq", "2 REGISTER")
        handed(server, alice, again)
        assert learned == [again]


@still
@on_loop
async def test_bug_that_one_message_meets_leaves_the_link_of_a_server_to_the_others(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link of a client has no messages of others: it closes, as the error leaves the dispatch."""
    told: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with still_server(home.organisations[0]) as server:
        dispatch, mate, phone = server.parts.decisions.dispatch, server.server(FE2), server.phone()

        def fails(*_: object) -> None:
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "a bug")

        monkeypatch.setattr(type(dispatch), "_request", fails)
        monkeypatch.setattr(type(server.parts.relays.relay), "responded", fails)
        request = asked("MESSAGE")
        dispatch.arrived(mate.link, request)
        dispatch.arrived(mate.link, respond(request, 200, to_tag="2"))
        assert (statuses(mate), closed(mate), len(told)) == ([500], [], 2)
        for message in (asked("MESSAGE"), respond(request, 200, to_tag="2")):
            with pytest.raises(UnicodeEncodeError):
                dispatch.arrived(phone.link, message)
        monkeypatch.undo()
        dispatch.arrived(mate.link, asked("OPTIONS", "sip:example.test"))
        assert statuses(mate)[-1] == 200
