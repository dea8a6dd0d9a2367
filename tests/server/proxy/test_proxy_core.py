"""What the core does with each effect, and which event follows from each answer; no link and no store is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import LocalError, RemoteError
from sipmesh.routing.outcome import Answer, Drop, Forward, Prove, Register, Serve, Store, ToMembers
from sipmesh.routing.target import AnotherNotifier, ServerTarget
from sipmesh.server.proxy import proxy_core
from sipmesh.server.proxy.flow import Flow, ProxiedRequest, ReceivedRequest
from sipmesh.server.proxy.login.login_waits import PendingLogin
from sipmesh.server.proxy.serving.effects import (
    AskControlPlane,
    AwaitLogin,
    CloseCarriedLink,
    CloseLink,
    Effect,
    EndCall,
    EndCarriedFlow,
    ForwardAck,
    HandOver,
    JudgeIdentity,
    RefuseForOctets,
    RefuseForUsers,
    RefuseUnstored,
)
from sipmesh.server.proxy.serving.events import IdentityJudged, LoggedIn, LoginDue, NotOfControlPlane
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.message import Request, respond
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.storage.messages import Storing
from sipmesh.transport.limits import Limits
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.history import EVENT, keep_history
from support.network import BOT, FE1, FE2, Network
from support.recording import with_records
from support.running import on_loop, until
from support.still_server import StillServer, asked, closed, methods, statuses, still_server, written_on

if TYPE_CHECKING:
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.location_service.locations import StoredRows

ALICE, BOB, CAROL = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))
still = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")
TO_BOT = Forward((ServerTarget((BOT,), LinkKind.SERVER, f"sip:{BOT}"),), ALICE)


def act(server: StillServer, received: ReceivedRequest, effect: Effect) -> object:
    """Carry out one effect, and give what follows at once."""
    return server.core._acts[type(effect)](received, effect)


@still
@on_loop
async def test_each_effect_is_carried_out(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        assert {*server.core._acts, Forward} == set(get_args(Effect))


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        (Answer(404), [404]),
        (Drop("no way"), []),
        (RefuseForUsers(), [480]),
        (RefuseUnstored(BOB, Storing.FAILED), [480]),
        (CloseCarriedLink(None), [200]),
        (HandOver(BOB), []),
    ],
)
@still
@on_loop
async def test_answers(home: Network, effect: Effect, status: list[int]) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        assert act(server, server.received(alice, asked("MESSAGE")), effect) is None
        assert statuses(alice) == status
        assert act(server, server.received(alice, asked("MESSAGE")), RefuseForOctets(alice.account)) is None
        assert statuses(alice) == [*status, 503]


@still
@on_loop
async def test_links_are_closed(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        alice, bob = server.phone(), server.phone("bob")
        received = server.received(alice, asked("MESSAGE"))
        act(server, received, CloseCarriedLink(bob))
        assert (closed(bob), statuses(alice)) == (["its home pool has ended it"], [200])
        act(server, received, CloseLink("a reason"))
        assert closed(alice) == ["a reason"]


@still
@on_loop
async def test_carried_flow_ends(two_pools: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        ended: list[Flow] = []
        monkeypatch.setattr(type(server.state.home_flows), "end", lambda _, flow: ended.append(flow))
        alice = server.phone()
        act(server, server.received(alice, asked("REGISTER")), EndCarriedFlow(alice))
        assert (ended, statuses(alice)) == ([alice], [200])


@still
@on_loop
async def test_request_is_forwarded_in_its_transaction(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        received = server.received(alice, asked("MESSAGE", f"sip:{BOT}"))
        server.core.take(received, received)
        [proxied] = alice.served.values()
        assert proxied.received is received
        bot = server.links.made[BOT]
        assert methods(bot) == ["MESSAGE"]
        assert alice.account.branches == 1


@still
@on_loop
async def test_ack_is_forwarded_without_a_transaction_and_a_refused_one_ends_its_call(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        received = server.received(alice, asked("ACK", f"sip:{BOT}", tag="2"))
        act(server, received, ForwardAck(TO_BOT))
        bot = server.links.made[BOT]
        assert (methods(bot), alice.served) == (["ACK"], {})
        act(server, received, EndCall(TO_BOT, Answer(488, code=Code.MEDIA_NOT_ENCRYPTED, why="clear media")))
        assert methods(bot) == ["ACK", "ACK", "BYE"]
        [told] = server.core.responder.refusals.newest
        assert told.why == "clear media"


@still
@on_loop
async def test_register_is_answered_once_it_is_stored(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        contact = ("contact", "<sip:alice@192.0.2.9;transport=tls>")
        act(server, server.received(alice, asked("REGISTER", "sip:example.test", contact, to=ALICE)), Register(ALICE))
        await until(lambda: statuses(alice) == [200])
        act(server, server.received(alice, asked("REGISTER", "sip:example.test", to=ALICE)), Register(ALICE))
        assert statuses(alice) == [200, 200]
        assert server.core._transactions.answered["REGISTER"][2] == 2


@still
@on_loop
async def test_message_is_stored_and_answered(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        act(server, server.received(alice, asked("MESSAGE")), Store(BOB, ALICE))
        assert (statuses(alice), len(alice.served)) == ([], 1)
        await until(lambda: statuses(alice) == [202])
        assert (alice.served, BOB in server.parts.events._stored_since) == ({}, True)


@still
@on_loop
async def test_message_of_a_closed_link_is_stored_all_the_same(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        act(server, server.received(alice, asked("MESSAGE")), Store(BOB, ALICE))
        server.parts.relays.removal.link_down(alice, "the test ends it")
        await until(lambda: BOB in server.parts.events._stored_since)
        assert statuses(alice) == []


@still
@on_loop
async def test_notifier_answers_and_notifies(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        headers = ("event", "presence"), ("contact", "<sip:alice@192.0.2.9>")
        act(server, server.received(alice, asked("SUBSCRIBE", BOB, *headers)), Serve(BOB, ALICE))
        assert statuses(alice) == [200]
        await until(lambda: methods(alice) == ["NOTIFY"])
        act(server, server.received(alice, asked("SUBSCRIBE", BOB, *headers, tag="2")), Serve(BOB, ALICE))
        assert statuses(alice) == [200, 481]


@still
@on_loop
async def test_control_plane_serves_or_leaves_it(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        mate = server.server(FE2)
        received = server.received(mate, asked("SUBSCRIBE", BOB, ("event", "sipmesh")))
        effect = AskControlPlane(server.parts.setup.view.trusted[FE2])
        assert act(server, received, effect) == NotOfControlPlane(received)
        server.core.take(received, received)
        assert statuses(mate) == [489]
        monkeypatch.setattr(type(server.parts.setup.outside.control_plane), "requested", lambda *_: True)
        assert act(server, received, effect) is None


@still
@on_loop
async def test_credentials_wait_are_checked_and_refused(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow, shown = server.flow(), ("authorization", 'Digest username="alice"')
        first = server.received(flow, asked("REGISTER", "sip:example.test", to=ALICE))
        assert act(server, first, AwaitLogin(ALICE)) == LoginDue(first, ALICE)
        assert act(server, first, Prove(ALICE, 401)) is None
        assert statuses(flow) == [401]
        second = server.received(flow, asked("REGISTER", "sip:example.test", shown, to=ALICE))
        for _ in range(3):
            server.state.failures.failed(PendingLogin(second, ALICE, server.core).attempt, server.core._clock())
        server.core.take(second, second)
        assert statuses(flow) == [401]
        server.core.drain()
        assert statuses(flow) == [401, 503]
        server.core.login_due(PendingLogin(second, ALICE, server.core))
        assert statuses(flow) == [401, 503, 400]


@still
@on_loop
async def test_sender_logs_in_by_the_right_credentials(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow, to_register = server.flow(), Prove(ALICE, 401)
        act(server, server.received(flow, asked("REGISTER", "sip:example.test", to=ALICE)), to_register)
        [challenged] = written_on(flow)
        challenges = [parse_challenge(value) for value in challenged.values("www-authenticate")]
        shown = answer(challenges, "alice", "alice-secret", "REGISTER", "sip:example.test", "cnonce", 1)
        again = server.received(flow, asked("REGISTER", "sip:example.test", ("authorization", shown), to=ALICE))
        assert act(server, again, to_register) == LoggedIn(again)
        assert flow.users == {ALICE}


@still
@on_loop
async def test_link_with_too_many_failures_is_closed_instead(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        flow = server.flow()
        monkeypatch.setattr(type(server.core._logins), "refuse", lambda *_: None)
        assert act(server, server.received(flow, asked("MESSAGE")), Prove(ALICE, 401)) is None
        assert written_on(flow) == []


@still
@on_loop
async def test_identity_is_judged_and_the_request_goes_on(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        received = server.received(server.phone(), asked("INVITE"))
        assert act(server, received, JudgeIdentity(TO_BOT)) == IdentityJudged(received, TO_BOT, None)


@pytest.mark.parametrize(
    ("wrong", "status"), [(RemoteError("bad", rule="a rule", status=400), 400), (LocalError("bad"), 500)]
)
@still
@on_loop
async def test_fault_of_a_request_that_has_waited_is_answered(
    home: Network, monkeypatch: pytest.MonkeyPatch, wrong: Exception, status: int
) -> None:
    async with still_server(home.organisations[0]) as server:

        def fails(*_: object) -> None:
            raise wrong

        alice = server.phone()
        received = server.received(alice, asked("MESSAGE"))
        monkeypatch.setattr(type(server.core), "take", fails)
        server.core.take_later(LoggedIn(received))
        assert statuses(alice) == [status]


@still
@on_loop
async def test_request_whose_targets_are_lost_is_served_otherwise(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        received = server.received(alice, asked("SUBSCRIBE", BOB, ("event", "presence"), ("contact", f"<{ALICE}>")))
        proxied = server.core._transactions.begin(received)
        lost = AnotherNotifier(BOB, ALICE, frozenset({FE1, FE2}))
        server.core.targets_lost(proxied, lost)
        assert (statuses(alice), alice.served) == ([200], {})
        server.core.targets_lost(proxied, lost)
        assert statuses(alice) == [200]


@still
@on_loop
async def test_bindings_are_read_while_the_transaction_waits(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.forget()
        alice = server.phone()
        received = server.received(alice, asked("MESSAGE"))
        server.core.take(received, received)
        assert (len(alice.served), alice.account.branches) == (1, 1)
        await until(lambda: statuses(alice) == [202])
        assert (alice.served, alice.account.branches, alice.account.octets) == ({}, 0, 0)


def changed_elsewhere(node: RunningServer) -> None:
    """Another server has changed every row, so that nothing in memory counts any more."""
    locations = node.registrations._locations
    assert isinstance(locations, SqliteLocations)
    locations._reading.versions.mark_all()


@pytest.mark.parametrize(("requests", "refused"), [(3, 0), (4, 1)])
@on_loop
async def test_requests_that_wait_for_the_store_are_branches_of_their_sender(
    home: Network, monkeypatch: pytest.MonkeyPatch, requests: int, refused: int
) -> None:
    """Carol is not in memory, and the store does not answer. Bob, who has sent nothing yet, waits with the others."""
    home.limits = Limits(branches_per_user=3)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node = home.nodes[FE1]
        changed_elsewhere(node)
        reads = list[Callable[["StoredRows | None"], None]]()
        monkeypatch.setattr(node.registrations._locations, "find", lambda _aor, found: reads.append(found))
        await alice.send(*(alice.request("MESSAGE", CAROL) for _ in range(requests)))
        assert [(await alice.final()).status for _ in range(refused)] == [503] * refused
        await bob.send(bob.request("MESSAGE", CAROL))
        await until(lambda: node.registrations._lookups.count == 4)
        while reads:
            reads.pop()(None)
        assert [(await alice.final()).status for _ in range(3)] == [503] * 3
        assert (await bob.final()).status == 503
        assert node.accounts.refused == ({"user": 1} if refused else {})
        monkeypatch.undo()
        assert (await alice.ask(alice.request("MESSAGE", CAROL))).status == 202


def ringing_at(server: StillServer, bob: Flow) -> tuple[Flow, ProxiedRequest]:
    """Alice calls Bob, whose phone *bob* rings; gives her phone and the call."""
    alice = server.phone()
    received = server.received(alice, asked("INVITE"))
    server.core.take(received, received)
    [proxied] = alice.served.values()
    assert methods(bob) == ["INVITE"]
    return alice, proxied


def moves_to(server: StillServer, phone: Flow, contact: str) -> None:
    """The phone that rings answers 302."""
    [invite, *_] = written_on(phone)
    assert isinstance(invite, Request)
    moved = respond(invite, 302, headers=[("contact", f"<{contact}>")], to_tag="2")
    assert server.parts.relays.relay.responded(phone, moved)


@pytest.mark.parametrize("is_known", [True, False])
@still
@on_loop
async def test_call_is_forwarded_to_a_user_whose_registrations_may_have_to_be_read(
    home: Network, *, is_known: bool
) -> None:
    async with still_server(home.organisations[0]) as server:
        bob, carol = server.registered("bob"), server.phone("carol")
        headers = ("contact", "<sip:carol@192.0.2.9;transport=tls>"), ("expires", "600")
        register = asked("REGISTER", "sip:example.test", *headers, sender=CAROL, to=CAROL)
        act(server, server.received(carol, register), Register(CAROL))
        await until(lambda: statuses(carol) == [200])
        ringing_at(server, bob)
        if not is_known:
            server.forget()
        moves_to(server, bob, CAROL)
        await until(lambda: "INVITE" in methods(carol))


@pytest.mark.parametrize(("contact", "status"), [("sip:nobody@elsewhere.test", 302), (BOB, 482), (CAROL, 480)])
@still
@on_loop
async def test_redirection_that_leads_nowhere_ends_the_call(home: Network, contact: str, status: int) -> None:
    """Elsewhere is none of ours, Bob is a loop, and Carol has no phone."""
    async with still_server(home.organisations[0]) as server:
        bob = server.registered("bob")
        alice, _ = ringing_at(server, bob)
        moves_to(server, bob, contact)
        await until(lambda: statuses(alice)[-1:] == [status])


@still
@on_loop
async def test_target_that_breaks_a_rule_is_not_called(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        bob = server.registered("bob")
        alice, _ = ringing_at(server, bob)

        def fails(*_: object) -> None:
            raise RemoteError("bad", rule="a rule", status=400)

        monkeypatch.setattr(proxy_core, "step", fails)
        moves_to(server, bob, CAROL)
        assert statuses(alice)[-1] == 480


@still
@on_loop
async def test_report_of_quality_is_no_state_of_a_notifier(home: Network) -> None:
    """Without a login it is refused; a user's own body is judged."""
    [organisation] = with_records(home).organisations[:1]
    async with still_server(organisation) as server:
        alice = server.phone()
        for identity in (None, ALICE):
            report = asked("PUBLISH", "sip:example.test", ("event", "vq-rtcpxr"), ("content-type", "text/plain"))
            act(server, server.received(alice, report), Serve(ALICE, identity))
        assert statuses(alice) == [403, 415]


@still
@on_loop
async def test_message_to_a_group_is_answered_once_it_has_ended_for_each_member(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, groups = server.phone(), type(server.core._events.groups)
        effect = ToMembers("sip:sales@example.test", ALICE, (BOB, CAROL))
        reached: list[Callable[[int], None]] = []
        monkeypatch.setattr(groups, "send", lambda *given: reached.append(given[-1]))
        for missed in (0, 1):
            act(server, server.received(alice, asked("MESSAGE")), effect)
            reached[-1](missed)
        full = Answer(503, why="too many messages to groups")
        monkeypatch.setattr(groups, "refused", lambda *_: full)
        act(server, server.received(alice, asked("MESSAGE")), effect)
        assert (statuses(alice), len(reached)) == ([202, 480, 503], 2)


@pytest.mark.parametrize(
    ("effect", "days", "count"),
    [
        (Store(BOB, ALICE), 30, 2),
        (Store(BOB, ALICE), 0, 0),
        (ToMembers("sip:sales@example.test", ALICE, (BOB, CAROL)), 30, 3),
        (ToMembers("sip:sales@example.test", ALICE, (BOB, CAROL)), 0, 0),
    ],
)
@still
@on_loop
async def test_history_has_what_was_stored_for_each_who_is_at_home(
    home: Network, effect: Store | ToMembers, days: int, count: int
) -> None:
    keep_history(home, days)
    async with still_server(home.organisations[0]) as server:
        alice, history = server.phone(), server.core._events.history
        act(server, server.received(alice, asked("MESSAGE")), effect)
        await until(lambda: statuses(alice) == [202] and history.kept == count)


@pytest.mark.parametrize(
    ("order", "identity", "status"),
    [(b'{"erase": "*"}', ALICE, 200), (b'{"erase": 1}', ALICE, 400), (b'{"erase": "*"}', BOB, 403)],
)
@still
@on_loop
async def test_order_to_erase_is_answered_once_it_is_carried_out(
    home: Network, order: bytes, identity: str, status: int
) -> None:
    keep_history(home)
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        request = asked("PUBLISH", ALICE, ("event", EVENT), ("content-type", "application/json"))
        request.body = order
        act(server, server.received(alice, request), Serve(ALICE, identity))
        await until(lambda: statuses(alice) == [status])
        assert alice.served == {}


@still
@on_loop
async def test_credentials_that_a_provider_judges_are_asked_for(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        asked_for: list[object] = []
        monkeypatch.setattr(type(server.core._logins), "check", lambda *_: None)
        monkeypatch.setattr(type(server.core._logins.bearer), "ask", lambda _, pending: asked_for.append(pending))
        phone = server.flow()
        assert act(server, server.received(phone, asked("REGISTER")), Prove(ALICE, 401)) is None
        assert (len(asked_for), statuses(phone)) == (1, [])
