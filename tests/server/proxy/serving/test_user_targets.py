"""Where a user is: here, at home, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.events.history_query import NOT_THE_USER
from sipmesh.routing.identity.sender import Sender
from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable
from sipmesh.routing.outcome import Answer, Forward, Serve, Store, ToContact, ToMembers, ToUser
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.registrar.device import RegisteredContact
from sipmesh.routing.target import AnotherNotifier, FlowTarget, RemoteFlowTarget, ServerTarget
from sipmesh.server.in_force.home_pools import HomePools
from sipmesh.server.proxy.serving import user_targets
from sipmesh.server.proxy.serving.effects import ReadBindings
from sipmesh.server.proxy.serving.user_targets import (
    NO_USERS_YET,
    NOT_TAKEN_OVER,
    Found,
    at_bindings,
    find_contact,
    find_user,
    next_notifier,
)
from sipmesh.sip.message import Request
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.evidence import LinkKind
from support.network import BOT, EDGE, EDGES, FE1, FE2, FE3, FE4, POOL, POOL2, Network
from support.running import on_loop
from support.still_server import NOW, StillServer, asked, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, CAROL, NOBODY = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol", "nobody"))
INSTEAD = Forward((), None)
REFER_TO = ("refer-to", "<sip:carol@example.test>")


def sender_of(server: StillServer, name: str = "") -> Sender:
    """Give alice on her link, or the server *name*."""
    flow = server.server(name) if name else server.phone()
    assert flow.sender is not None
    return flow.sender


def found(server: StillServer, request: Request, user: ToUser, name: str = "") -> Found:
    """Find *user* for a request of alice, or of the server *name*."""
    in_force = server.parts.setup.current.value
    return find_user(server.state, in_force, sender_of(server, name), request, user, NOW)


@on_loop
async def test_user_of_another_pool_is_at_home_there(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        there = found(server, asked("MESSAGE"), ToUser(BOB, ALICE))
        assert isinstance(there, Forward)
        [target] = there.targets
        assert isinstance(target, ServerTarget)
        assert set(target.names) == {FE3, FE4}
        assert found(server, asked("MESSAGE"), ToUser(BOB, ALICE, None, INSTEAD)) is INSTEAD


@on_loop
async def test_unknown_user_is_not_found(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        unknown = found(server, asked("MESSAGE"), ToUser(NOBODY, ALICE))
        assert isinstance(unknown, Answer)
        assert unknown.status == 404
        monkeypatch.setattr(HomePools, "ready", False)
        assert found(server, asked("MESSAGE"), ToUser(NOBODY, ALICE)) == NO_USERS_YET


@on_loop
async def test_alias_is_replaced_by_its_user(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        bob = server.registered("bob")
        monkeypatch.setattr(HomePools, "owner_of", lambda *_: BOB)
        there = found(server, asked("MESSAGE"), ToUser("sip:chief@example.test", ALICE))
        assert isinstance(there, Forward)
        assert isinstance(there.targets[0], FlowTarget)
        assert there.targets[0].flow == bob.number


@on_loop
async def test_front_end_that_asks_its_backup_pool_too_early_may_ask_again(
    two_pools: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        view = type(server.parts.setup.view)
        monkeypatch.setattr(view, "backup_of", lambda *_: POOL)
        assert found(server, asked("MESSAGE"), ToUser(BOB, ALICE), FE3) == NOT_TAKEN_OVER
        assert isinstance(found(server, asked("MESSAGE"), ToUser(BOB, ALICE)), Forward)


@pytest.mark.parametrize(
    ("method", "headers", "kind"),
    [
        ("SUBSCRIBE", (("event", "presence"),), Serve),
        ("PUBLISH", (("event", "presence"),), Serve),
        ("SUBSCRIBE", (("event", "dialog"),), Answer),
        ("OPTIONS", (), Answer),
        ("REFER", (REFER_TO,), Answer),
        ("INVITE", (), Answer),
        ("MESSAGE", (), Store),
    ],
)
@on_loop
async def test_user_without_a_phone(home: Network, method: str, headers: Sequence[tuple[str, str]], kind: type) -> None:
    async with still_server(home.organisations[0]) as server:
        aor = server.noted()
        other = CAROL if aor != CAROL else ALICE
        assert type(found(server, asked(method, aor, *headers), ToUser(aor, other))) is kind


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
@on_loop
async def test_history_is_for_the_user_and_its_pool_alone(pool: Network, two_pools: Network, method: str) -> None:
    """The user on the own link, or by another server of the pool; no other pool or edge in its name."""
    for network, senders in ((pool, {"": False, FE2: False}), (two_pools, {FE3: True, EDGE: True})):
        async with still_server(network.organisations[0]) as server:
            request = asked(method, ALICE, ("event", "message-history"))
            for name, refused in senders.items():
                assert (found(server, request, ToUser(ALICE, ALICE), name) == NOT_THE_USER) is refused


@on_loop
async def test_notifier_is_at_one_server_of_the_pool(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        aors = [aor for aor in (ALICE, BOB, CAROL) if aor != server.noted()]
        subscribe = asked("SUBSCRIBE", BOB, ("event", "presence"))
        results = [found(server, subscribe, ToUser(aor, ALICE)) for aor in aors]
        [elsewhere, *_] = [one for one in results if isinstance(one, Forward)]
        [target] = elsewhere.targets
        assert isinstance(target, ServerTarget)
        assert target.names == (FE2,)
        assert target.again is not None
        assert target.again.tried == {FE2}
        for aor in aors:
            assert isinstance(found(server, subscribe, ToUser(aor, ALICE), FE2), Serve)
        in_force = server.parts.setup.current.value
        down = next_notifier(server.state, in_force, subscribe, AnotherNotifier(BOB, ALICE, frozenset({FE1, FE2})))
        assert down == Serve(BOB, ALICE)


@on_loop
async def test_reference_is_judged_where_its_user_is(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A REFER to another link of the device that rings is too early: see tests/attacks/test_references.py."""
    async with still_server(home.organisations[0]) as server:
        bob = server.registered("bob")
        by_alice = found(server, asked("REFER", BOB, REFER_TO), ToUser(BOB, ALICE))
        assert isinstance(by_alice, Answer)
        by_itself = found(server, asked("REFER", BOB, REFER_TO), ToUser(BOB, BOB))
        assert isinstance(by_itself, Forward)
        ringing = Forward((FlowTarget(bob.number, next(iter(bob.owners)), BOB),), ALICE)
        bob.ringing.add("call")
        early = found(server, asked("REFER", BOB, REFER_TO, ("call-id", "call")), ToUser(BOB, BOB, None, ringing))
        assert isinstance(early, Answer)
        monkeypatch.setattr(HomePools, "watcher_rule", lambda *_: Watching.BLOCK)
        refused = found(server, asked("OPTIONS", BOB), ToUser(BOB, ALICE))
        assert isinstance(refused, Answer)
        assert refused.status == 403


@on_loop
async def test_application_may_refer_a_phone(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.registered("bob")
        request = asked("REFER", BOB, REFER_TO)
        assert isinstance(found(server, request, ToUser(BOB, None), "bot.example.test"), Forward)
        assert isinstance(found(server, request, ToUser(BOB, None), FE2), Answer)


@on_loop
async def test_bindings_are_read_unless_the_request_cannot_wait(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.forget()
        user = ToUser(BOB, ALICE, None, INSTEAD)
        assert found(server, asked("ACK"), user) is INSTEAD
        assert found(server, asked("MESSAGE"), user) == ReadBindings(user)
        assert found(server, asked("ACK"), ToUser(BOB, ALICE)) == ReadBindings(ToUser(BOB, ALICE))


# Bindings


def placed(
    server: StillServer, request: Request, user: ToUser, held: Sequence[Binding]
) -> ToUser | Forward | Answer | Store | ToMembers:
    return at_bindings(server.state, server.parts.setup.current.value, sender_of(server, ""), request, user, held)


@on_loop
async def test_message_is_stored_for_a_user_without_a_phone_or_with_a_delivery_under_way(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        user, row = ToUser(BOB, ALICE), server.row("bob", 7)
        assert placed(server, asked("MESSAGE"), user, ()) == Store(BOB, ALICE)
        assert isinstance(placed(server, asked("INVITE"), user, ()), Answer)
        here = placed(server, asked("MESSAGE"), user, [row])
        assert isinstance(here, Forward)
        assert here.otherwise is None
        monkeypatch.setattr(type(server.state.delivery), "is_running", lambda *_: True)
        assert placed(server, asked("MESSAGE"), user, [row]) == Store(BOB, ALICE)
        monkeypatch.setattr(HomePools, "is_guest", lambda *_: True)
        assert isinstance(placed(server, asked("MESSAGE"), user, [row]), Forward)


@on_loop
async def test_phone_of_another_server_may_be_gone_with_it(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        user, row = ToUser(BOB, ALICE), server.row("bob", 7, FE2)
        remote = placed(server, asked("MESSAGE"), user, [row])
        assert isinstance(remote, Forward)
        assert isinstance(remote.targets[0], RemoteFlowTarget)
        assert remote.otherwise == Store(BOB, ALICE)
        call = placed(server, asked("INVITE"), user, [row])
        assert isinstance(call, Forward)
        assert call.otherwise is None


# Applications and numbers


@on_loop
async def test_application_with_a_name_is_reached_by_its_front_ends_and_from_outside_only_if_it_is_public(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        current, menu = server.parts.setup.current, "sip:menu@example.test"
        here = ApplicationRoute(BOT, POOL, frozenset({menu}), ("+49301",), public=False)

        def called(route: ApplicationRoute, aor: str, name: str = "") -> Found:
            current.value = replace(current.value, applications=ApplicationTable([route]))
            return found(server, asked("INVITE", aor), ToUser(aor, ALICE), name)

        assert called(here, menu) == Forward((ServerTarget((BOT,), LinkKind.SERVER, menu),), ALICE)
        there = called(replace(here, next_hop=EDGES), menu)
        assert isinstance(there, Forward)
        assert [target.names for target in there.targets if isinstance(target, ServerTarget)] == [(EDGE,)]
        refused = called(here, menu, EDGE)
        assert isinstance(refused, Answer)
        assert (refused.status, "is not public" in refused.why) == (403, True)
        assert isinstance(called(replace(here, public=True), menu, EDGE), Forward)
        assert isinstance(called(here, NOBODY), Answer)
        monkeypatch.setattr(user_targets, "number_called", lambda *_: "+49301")
        number = called(here, NOBODY)
        assert isinstance(number, Forward)
        assert [target.uri for target in number.targets if isinstance(target, ServerTarget)] == [
            "sip:+49301@example.test;user=phone"
        ]
        monkeypatch.setattr(HomePools, "owner_of", lambda _, aor: BOB if aor.startswith("sip:+49301@") else "")
        of_bob = called(here, NOBODY)
        assert isinstance(of_bob, Answer)
        assert of_bob.status == 480


# Contacts

AT_BOB = RegisteredContact("bob@192.0.2.9", None)


@on_loop
async def test_contact_is_that_of_its_user_or_the_mates_are_asked(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        in_force, request = server.parts.setup.current.value, asked("MESSAGE", "sip:bob@192.0.2.9")
        asks = find_contact(server.state, in_force, request, ToContact(AT_BOB, ALICE, asks_mates=True))
        assert isinstance(asks, Forward)
        assert [target.names for target in asks.targets if isinstance(target, ServerTarget)] == [(FE2,)]
        alone = find_contact(server.state, in_force, request, ToContact(AT_BOB, ALICE, asks_mates=False))
        assert isinstance(alone, Answer)
        assert alone.status == 404
        server.registered("bob")
        known = find_contact(server.state, in_force, request, ToContact(AT_BOB, ALICE, asks_mates=True))
        assert known == ToUser(BOB, ALICE, AT_BOB)
        there = found(server, request, known)
        assert isinstance(there, Forward)
        strange = RegisteredContact("bob@192.0.2.77", None)
        assert placed(server, request, ToUser(BOB, ALICE, strange, INSTEAD), [server.row("bob", 7)]) is INSTEAD
        monkeypatch.setattr(in_force.view, "sip_domains", frozenset({"example.test", "other.test"}))
        monkeypatch.setattr(HomePools, "of", lambda *_: POOL2)
        namesake = find_contact(server.state, in_force, request, ToContact(AT_BOB, ALICE, asks_mates=True))
        assert isinstance(namesake, Forward)


@on_loop
async def test_call_goes_to_the_application_that_screens_it_before_any_phone(home: Network) -> None:
    """A MESSAGE does not, and neither does a call that the application has let on."""
    async with still_server(home.organisations[0]) as server:
        current, bob = server.parts.setup.current, server.registered("bob")
        route = ApplicationRoute(BOT, POOL, frozenset(), (), public=False, screens=frozenset({"example.test"}))
        current.value = replace(current.value, applications=ApplicationTable([route]))
        for request, user, reached in (
            (asked("INVITE"), ToUser(BOB, ALICE), (BOT,)),
            (asked("INVITE"), ToUser(BOB, ALICE, is_screened=True), bob.number),
            (asked("MESSAGE"), ToUser(BOB, ALICE), bob.number),
        ):
            there = found(server, request, user)
            assert isinstance(there, Forward)
            [target] = there.targets
            assert (target.names if isinstance(target, ServerTarget) else getattr(target, "flow", 0)) == reached
