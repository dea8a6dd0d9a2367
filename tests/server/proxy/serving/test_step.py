"""Each event and what follows from it: no link, no store and no clock is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.events.reference import EARLY_REFERENCE
from sipmesh.routing.events.subscribe import NO_SUBSCRIPTION
from sipmesh.routing.identity.dialog_token import FlowSide, owner_hash
from sipmesh.routing.identity.sender import named_side
from sipmesh.routing.media.rules import MediaRules
from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable
from sipmesh.routing.outcome import (
    DRAINING,
    Answer,
    Drop,
    Forward,
    Prove,
    Register,
    Screening,
    Serve,
    Store,
    ToUser,
)
from sipmesh.routing.proxy.effects import Divert
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.target import AnotherNotifier, FlowTarget, RemoteFlowTarget, ServerTarget
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.login.end_of_flow import FLOW_FAILED
from sipmesh.server.proxy.login.login_waits import PendingLogin
from sipmesh.server.proxy.serving.admission import NOT_ITS_PACKAGE
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
    ReadBindings,
    RefuseForOctets,
    RefuseUnstored,
)
from sipmesh.server.proxy.serving.events import (
    BindingsRead,
    Diverting,
    IdentityJudged,
    LoggedIn,
    LoginDue,
    LoginGivenUp,
    MembersReached,
    MessageStored,
    NotOfControlPlane,
    TargetsLost,
)
from sipmesh.server.proxy.serving.step import (
    LOOP,
    MOVED,
    NO_LOGIN,
    NO_REGISTRATIONS,
    STORED,
    TOO_MANY_LOGINS,
    UNKNOWN_PEER,
)
from sipmesh.server.proxy.serving.user_targets import NO_USERS_YET
from sipmesh.server.quotas.usage import Usage
from sipmesh.sip.message import Request
from sipmesh.storage.messages import Storing
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.evidence import LinkKind
from support.descriptions import CLEAR, SDES, with_body
from support.network import BOT, FE1, FE2, FE3, POOL, POOL2, Network
from support.running import on_loop
from support.still_server import StillServer, asked, still_server
from support.trunks import GATEWAY

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, CAROL, DORA = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol", "dora"))
PRESENCE = ("event", "presence")
FULL = Usage("user", ALICE, 0, 0)

Came = Callable[[StillServer], tuple[Flow, Request]]


def from_alice(method: str, uri: str = BOB, *headers: tuple[str, str], body: bytes = b"", tag: str = "") -> Came:
    """A request of a phone of alice."""
    return lambda server: (server.phone(), asked(method, uri, *headers, body=body, tag=tag))


def from_stranger(method: str, uri: str = BOB, *headers: tuple[str, str]) -> Came:
    """A request of a client that has not logged in."""
    return lambda server: (server.flow(), asked(method, uri, *headers, to=ALICE if method == "REGISTER" else ""))


def from_server(name: str, method: str, uri: str = BOB, *headers: tuple[str, str]) -> Came:
    """A request of one of our servers, for alice."""
    asserted = ("p-asserted-identity", f"<{ALICE}>")
    return lambda server: (server.server(name), asked(method, uri, asserted, *headers))


@pytest.mark.parametrize(
    ("came", "effect"),
    [
        (lambda server: (server.phone(), asked("REGISTER", "sip:example.test", to=ALICE)), Register),
        (from_alice("MESSAGE", "sip:nobody@example.test"), Answer),
        (from_alice("ACK", "sip:nobody@example.test"), Drop),
        (from_alice("ACK", BOB, ("max-forwards", "0")), Answer),
        (from_alice("MESSAGE", f"sip:{BOT}"), Forward),
        (from_alice("MESSAGE", ALICE), Store),
        (lambda server: (server.phone(), asked("SUBSCRIBE", server.noted(), PRESENCE)), Serve),
        (from_alice("OPTIONS", "sip:example.test"), Answer),
        (from_alice("SUBSCRIBE", BOB, ("event", "sipmesh")), Answer),
        (from_alice("MESSAGE", f"sip:{BOT}", ("proxy-require", "teleport")), Answer),
        (from_stranger("MESSAGE"), Prove),
        (from_stranger("REGISTER", "sip:example.test"), Prove),
        (from_server(FE2, "SUBSCRIBE", ALICE, PRESENCE), AskControlPlane),
        (from_server(FE2, "NOTIFY", ALICE, PRESENCE), AskControlPlane),
        (from_server(FE2, "MESSAGE", ALICE), Store),
    ],
)
@on_loop
async def test_request_that_arrives(home: Network, came: Came, effect: type) -> None:
    async with still_server(home.organisations[0]) as server:
        assert type(server.effect(*came(server))) is effect


@on_loop
async def test_link_without_a_verdict_is_closed(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow = server.flow(LinkKind.SERVER)
        received = server.received(flow, asked("MESSAGE"))
        for event in (received, LoggedIn(received)):
            assert isinstance(server.step(event), CloseLink)


@on_loop
async def test_draining_server_refuses_what_is_in_no_dialog(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.state.is_draining = True
        alice = server.phone()
        assert server.effect(alice, asked("MESSAGE")) == DRAINING
        assert server.effect(alice, asked("BYE", tag="2")) != DRAINING


@on_loop
async def test_request_that_was_here_before_is_a_loop(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow, first = server.phone(), asked("MESSAGE", f"sip:{BOT}")
        sent = server.received(flow, first)
        assert isinstance(server.step(sent), Forward)
        again = first.copy()
        [sent_by, *_] = server.state.branches._sent_by
        via = f"SIP/2.0/TLS {sent_by};branch={server.state.branches.mint(sent.loop)}"
        again.prepend("via", via)
        assert server.effect(flow, again) == LOOP


@on_loop
async def test_message_for_a_user_with_a_phone_goes_to_its_link(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        bob = server.registered("bob")
        effect = server.effect(server.phone(), asked("MESSAGE"))
        assert isinstance(effect, Forward)
        [target] = effect.targets
        assert isinstance(target, FlowTarget)
        assert target.flow == bob.number


@on_loop
async def test_registrations_are_read_where_they_are_not_known(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.registered("bob")
        server.forget()
        alice = server.phone()
        received = server.received(alice, asked("MESSAGE"))
        user = ToUser(BOB, ALICE)
        assert server.step(received) == ReadBindings(user)
        assert server.step(BindingsRead(received, user, None)) == NO_REGISTRATIONS
        assert server.step(BindingsRead(received, user, ())) == Store(BOB, ALICE)
        found = server.step(BindingsRead(received, user, [server.row("bob", 7, FE2)]))
        assert isinstance(found, Forward)
        assert isinstance(found.targets[0], RemoteFlowTarget)
        assert found.otherwise == Store(BOB, ALICE)


@pytest.mark.parametrize(
    ("result", "effect"), [(Storing.STORED, STORED), (Storing.FAILED, RefuseUnstored(BOB, Storing.FAILED))]
)
@on_loop
async def test_message_is_accepted_once_it_is_stored(home: Network, result: Storing, effect: Effect) -> None:
    async with still_server(home.organisations[0]) as server:
        received = server.received(server.phone(), asked("MESSAGE"))
        assert server.step(MessageStored(received, BOB, result)) == effect


@on_loop
async def test_sender_whose_account_is_full_is_refused(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        mate = server.server(FE2)
        received = server.received(mate, asked("MESSAGE", f"sip:{BOT}", ("p-asserted-identity", f"<{ALICE}>")))
        assert isinstance(server.step(received), Forward)
        account = received.account
        assert account is not None
        account.add(account.most_branches, 0)
        for uri in (f"sip:{BOT}", BOB):
            again = asked("MESSAGE", uri, ("p-asserted-identity", f"<{ALICE}>"))
            assert server.effect(mate, again) == RefuseForOctets(account)
        subscribe = server.received(
            mate, asked("SUBSCRIBE", server.noted(), PRESENCE, ("p-asserted-identity", f"<{ALICE}>"))
        )
        assert server.step(NotOfControlPlane(subscribe)) == RefuseForOctets(account)


@on_loop
async def test_package_of_ours_is_refused_where_no_control_plane_serves_it(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        received = server.received(server.server(FE2), asked("SUBSCRIBE", BOB, ("event", "sipmesh")))
        assert isinstance(server.step(received), AskControlPlane)
        assert server.step(NotOfControlPlane(received)) == NOT_ITS_PACKAGE


# Logins


@on_loop
async def test_credentials_wait_if_some_have_failed(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow, shown = server.flow(), ("authorization", 'Digest username="alice"')
        came = [server.received(flow, asked("MESSAGE", BOB, *headers)) for headers in ((), (shown,))]
        assert [server.step(received) for received in came] == [Prove(ALICE, 407)] * 2
        server.state.failures.failed(PendingLogin(came[0], ALICE, server.core).attempt, 1.0)
        assert [server.step(received) for received in came] == [Prove(ALICE, 407), AwaitLogin(ALICE)]
        assert server.step(LoginDue(came[1], ALICE)) == Prove(ALICE, 407)
        assert server.step(LoginGivenUp(came[1])) == TOO_MANY_LOGINS


@on_loop
async def test_request_is_decided_about_again_after_the_login(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        flow = server.flow()
        received = server.received(flow, asked("REGISTER", "sip:example.test", to=ALICE))
        assert server.step(received) == Prove(ALICE, 401)
        flow.proved(ALICE, 1)
        assert server.step(LoggedIn(received)) == Register(ALICE)
        refused = server.step(LoggedIn(server.received(flow, asked("REGISTER", "sip:example.test", to=BOB))))
        assert isinstance(refused, Answer)
        assert (refused.status, refused.why) == (403, f"not {BOB}")


@on_loop
async def test_login_waits_for_the_users(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        homes = type(server.parts.setup.current.value.homes)
        monkeypatch.setattr(homes, "knows", lambda *_: False)
        assert server.effect(server.flow(), asked("MESSAGE")) == NO_USERS_YET


@on_loop
async def test_register_of_a_user_of_another_pool_goes_there(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        flow = server.flow()
        received = server.received(flow, asked("REGISTER", "sip:example.test", to=BOB))
        effect = server.step(received)
        assert isinstance(effect, Forward)
        assert (received.registers, received.account) == (BOB, None)
        [target] = effect.targets
        assert isinstance(target, ServerTarget)
        assert FE3 in target.names


@on_loop
async def test_home_pool_without_servers_is_answered(two_pools: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        monkeypatch.setattr(type(server.state.access), "home_of", lambda *_: "pool9.example.test")
        received = server.received(server.flow(), asked("REGISTER", "sip:example.test", to=BOB))
        refused = server.step(LoginDue(received, BOB))
        assert isinstance(refused, Answer)
        assert refused.status == 503


@on_loop
async def test_user_who_has_moved_to_another_pool_registers_there(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        flow = server.flow()
        flow.proved(BOB, 1)
        assert server.effect(flow, asked("REGISTER", "sip:example.test", to=BOB)) == MOVED


# Carried flows


def register_by(server: StillServer, *headers: tuple[str, str]) -> Request:
    """A REGISTER of alice that the first server of the other pool has sent with its Path."""
    return asked("REGISTER", "sip:example.test", ("path", f"<sip:token@{FE3};lr;ob>"), *headers, to=ALICE)


@on_loop
async def test_client_of_another_server_is_served_as_on_a_link_of_its_own(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        by = server.server(FE3)
        received = server.received(by, register_by(server))
        assert server.step(received) == Prove(ALICE, 401)
        assert (received.flow.carrier, received.flow.path) == (by, f"<sip:token@{FE3};lr;ob>")
        server.state.home_flows.most_of_server = 0
        refused = server.effect(by, register_by(server))
        assert isinstance(refused, Answer)
        assert refused.status == 503


def carried(server: StillServer) -> tuple[Flow, Flow]:
    """A flow of alice that the other pool carries, and that of its server."""
    by = server.server(FE3)
    received = server.received(by, register_by(server))
    assert server.step(received) == Prove(ALICE, 401)
    received.flow.proved(ALICE, 1)
    server.parts.peers.accounts.proved(received.flow, ALICE)
    return received.flow, by


def of_login(server: StillServer, flow: Flow, method: str, *headers: tuple[str, str]) -> Request:
    """A request with the token of the login on *flow* in its Route."""
    token = server.state.tokens.login(flow.number, ALICE)
    uri = "sip:example.test" if method == "REGISTER" else f"sip:{BOT}"
    return asked(method, uri, ("route", f"<sip:{token}@{FE1};transport=tls;lr;ob>"), *headers, to=ALICE)


@on_loop
async def test_request_on_a_carried_flow_is_of_its_user(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        flow, by = carried(server)
        assert server.effect(by, of_login(server, flow, "REGISTER")) == Register(ALICE)
        ended = server.effect(by, of_login(server, flow, "REGISTER", ("reason", FLOW_FAILED)))
        assert ended == EndCarriedFlow(flow)
        flow.account.add(flow.account.most_branches, 0)
        assert server.effect(by, of_login(server, flow, "REGISTER")) == RefuseForOctets(flow.account)


@on_loop
async def test_home_pool_ends_the_flow_of_a_client_here(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        client, home = server.flow(), server.server(FE3)
        token = server.state.tokens.path(client.number, BOB, named_side(POOL2))
        for by, effect in ((home, CloseCarriedLink(client)), (server.server(FE2), None)):
            end = asked(
                "REGISTER", "sip:example.test", ("route", f"<sip:{token}@{FE1};lr;ob>"), ("reason", FLOW_FAILED)
            )
            found = server.effect(by, end)
            assert found == effect if effect is not None else isinstance(found, Answer)


# Requests that go on


def inside(server: StillServer, method: str, *headers: tuple[str, str], body: bytes = b"") -> tuple[Flow, Request]:
    """A request of alice inside a dialog with bob, both of whom have phones here."""
    alice, bob = server.phone(), server.registered("bob")
    tokens = server.state.tokens
    sides = [FlowSide(tokens.incarnation, flow.number, owner_hash(aor)) for flow, aor in ((alice, ALICE), (bob, BOB))]
    begun = tokens.begun("call", "1", ALICE, BOB, "192.0.2.1").answered_by(tokens.tag_hash("2"))
    token = tokens.dialog(sides[0], sides[1], begun, b"")
    route = ("route", f"<sip:{token}@{FE1};transport=tls;lr>")
    made = asked(method, "sip:bob@192.0.2.9", route, ("call-id", "call"), *headers, to=BOB, tag="2")
    return alice, with_body(made, body) if body else made


@on_loop
async def test_session_description_that_the_policy_forbids_is_refused_and_its_ack_ends_the_call(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        current = server.parts.setup.current
        current.value = replace(current.value, media=MediaRules({"example.test": MediaPolicy.REQUIRED}, {}, {}))
        bob, alice = server.registered("bob"), server.phone()
        refused = server.effect(alice, with_body(asked("INVITE"), CLEAR))
        assert isinstance(refused, Answer)
        assert refused.status == 488
        assert isinstance(server.effect(alice, with_body(asked("INVITE"), SDES)), Forward)
        assert bob.users
        effects = [server.effect(*inside(server, "ACK", body=body)) for body in (SDES, CLEAR, b"")]
        assert [type(effect) for effect in effects] == [ForwardAck, EndCall, ForwardAck]


@on_loop
async def test_refer_that_is_too_early_does_not_reach_the_phone(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice, refer = inside(server, "REFER", ("refer-to", f"<{CAROL}>"))
        assert isinstance(server.effect(alice, refer.copy()), Forward)
        alice.ringing.add("call")
        for flow in server.state.flow_table.sessions():
            flow.ringing.add("call")
        assert server.effect(alice, refer) == EARLY_REFERENCE


@on_loop
async def test_request_without_a_session_description_agrees_on_no_media(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        assert isinstance(server.effect(*inside(server, "UPDATE")), Forward)


@on_loop
async def test_request_to_a_contact_goes_to_its_user(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.registered("bob")
        effect = server.effect(server.phone(), asked("MESSAGE", "sip:bob@192.0.2.9"))
        assert isinstance(effect, Forward)
        assert isinstance(effect.targets[0], FlowTarget)


@on_loop
async def test_call_is_judged_where_a_partner_has_a_policy_about_identity(federation: Network) -> None:
    async with still_server(federation.organisations[0]) as server:
        server.registered("bob")
        current, alice = server.parts.setup.current, server.phone()
        received = server.received(alice, asked("INVITE"))
        assert isinstance(server.step(received), Forward)
        [known] = server.parts.setup.view.partners
        current.value = replace(
            current.value, signing={"partner.test": replace(known, identity_policy=IdentityPolicy.SIGN)}
        )
        asked_first = server.step(received)
        assert isinstance(asked_first, JudgeIdentity)
        refused = Answer(438)
        assert server.step(IdentityJudged(received, asked_first.forward, refused)) == refused
        assert isinstance(server.step(IdentityJudged(received, asked_first.forward, None)), Forward)


@on_loop
async def test_subscribe_goes_to_the_next_notifier_if_one_cannot_be_reached(pool: Network) -> None:
    async with still_server(pool.organisations[0]) as server:
        alice = server.phone()
        received = server.received(alice, asked("SUBSCRIBE", BOB, PRESENCE))
        for tried, effect in ((frozenset({FE1}), Forward), (frozenset({FE1, FE2}), Serve)):
            assert type(server.step(TargetsLost(received, AnotherNotifier(BOB, ALICE, tried)))) is effect
        inside = server.received(alice, asked("SUBSCRIBE", BOB, PRESENCE, tag="2"))
        assert server.step(TargetsLost(inside, AnotherNotifier(BOB, ALICE, frozenset()))) == NO_SUBSCRIPTION


@on_loop
async def test_message_whose_phones_cannot_be_reached_is_stored(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        alice = server.phone()
        received = server.received(alice, asked("MESSAGE", BOB, ("p-served-user", f"<{BOB}>")))
        assert server.step(TargetsLost(received, Store(BOB, ALICE))) == Store(BOB, ALICE)
        assert not received.request.has("p-served-user")


@on_loop
async def test_subscribe_is_handed_over_to_the_process_that_is_the_notifier(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_server(home.organisations[0]) as server:
        monkeypatch.setattr(type(server.state.siblings), "has_notifier", lambda *_: True)
        aor = server.noted()
        assert server.effect(server.phone(), asked("SUBSCRIBE", aor, PRESENCE)) == HandOver(aor)


TO_CAROL = Divert((Diversion(BOB, CAROL, Reason.NO_ANSWER),))


def forwarded_to_carol(server: StillServer, rows: Sequence[Binding] | None = (), *, read: bool) -> Effect:
    """What follows once Bob has not answered a call of Alice, and forwards it to Carol."""
    received = server.received(server.phone(), asked("INVITE"))
    answer = BindingsRead(received, ToUser(CAROL, ALICE, chain=TO_CAROL.chain), rows) if read else None
    return server.step(Diverting(received, ALICE, TO_CAROL, answer))


@on_loop
async def test_call_that_is_forwarded_while_it_rings_finds_its_target(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.registered("carol")
        known = forwarded_to_carol(server, read=False)
        assert isinstance(known, Forward)
        assert isinstance(known.otherwise, CallHandling)
        assert known.otherwise.chain == TO_CAROL.chain
        server.forget()
        asks = forwarded_to_carol(server, read=False)
        assert isinstance(asks, ReadBindings)
        assert asks.user.aor == CAROL
        assert isinstance(forwarded_to_carol(server, [server.row("carol", 7)], read=True), Forward)
        assert forwarded_to_carol(server, None, read=True) == NO_REGISTRATIONS
        nowhere = forwarded_to_carol(server, [], read=True)
        assert isinstance(nowhere, Answer)
        assert nowhere.status == 480


@on_loop
async def test_media_of_a_call_are_judged_again_for_the_target_to_which_it_is_forwarded(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        server.registered("carol")
        clear = server.received(server.phone(), with_body(asked("INVITE"), CLEAR))
        secured = server.received(server.phone(), with_body(asked("INVITE"), SDES))
        current = server.parts.setup.current
        current.value = replace(current.value, media=MediaRules({"example.test": MediaPolicy.REQUIRED}, {}, {}))
        refused = server.step(Diverting(clear, ALICE, TO_CAROL))
        assert isinstance(refused, Answer)
        assert refused.status == 488
        assert isinstance(server.step(Diverting(secured, ALICE, TO_CAROL)), Forward)


@on_loop
async def test_certificate_of_a_device_proves_its_user_also_while_the_users_are_not_known(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control is another user on the same link, whose credentials are not known yet."""
    async with still_server(home.organisations[0]) as server:
        flow, homes = server.flow(), type(server.parts.setup.current.value.homes)
        flow.device = ALICE
        monkeypatch.setattr(homes, "knows", lambda *_: False)
        registers = [server.received(flow, asked("REGISTER", "sip:example.test", to=aor)) for aor in (ALICE, BOB)]
        assert [server.step(one) for one in registers] == [Prove(ALICE, 401), NO_USERS_YET]


@on_loop
async def test_gateway_has_room_for_an_emergency_call(trunked: Organisation) -> None:
    async with still_server(trunked, GATEWAY) as server:
        front_end = server.server(FE1)
        asserted = ("p-asserted-identity", f"<{ALICE}>")
        found = server.effect(front_end, asked("INVITE", "sip:112@example.test;user=phone", asserted))
        assert isinstance(found, Forward)
        assert found.targets


@on_loop
async def test_message_to_a_group_is_accepted_if_each_member_has_it_or_will_get_it(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        received = server.received(server.phone(), asked("MESSAGE"))
        assert server.step(MembersReached(received, 3, 0)) == STORED
        missed = server.step(MembersReached(received, 3, 2))
        assert isinstance(missed, Answer)
        assert (missed.status, missed.reason) == (480, "2 Of 3 Members Missed")


@on_loop
async def test_link_without_a_sender_has_no_requests(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        mate = server.server(FE2)
        mate.sender = None
        assert server.effect(mate, asked("MESSAGE")) == UNKNOWN_PEER


@on_loop
async def test_no_device_registers_as_a_group(home: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_server(home.organisations[0]) as server:
        received = server.received(server.phone(), asked("REGISTER", "sip:example.test", to=ALICE))
        assert server.step(LoggedIn(received)) == Register(ALICE)
        homes = type(server.parts.setup.current.value.homes)
        monkeypatch.setattr(homes, "group_rules", lambda *_: CallRules(order="all"))
        assert server.step(LoggedIn(received)) == NO_LOGIN


@on_loop
async def test_call_goes_on_past_the_application_that_screens_it(home: Network) -> None:
    """By its token, or because it is away; a token that no server has made is refused."""
    async with still_server(home.organisations[0]) as server:
        bob, bot, current = server.registered("bob"), server.server(BOT), server.parts.setup.current
        screens = ApplicationRoute(BOT, POOL, frozenset(), (), public=False, screens=frozenset({"example.test"}))
        current.value = replace(current.value, applications=ApplicationTable([screens]))
        screened = server.effect(server.phone(), asked("INVITE"))
        assert isinstance(screened, Forward)
        assert isinstance(screened.otherwise, Screening)
        [target] = screened.targets
        assert isinstance(target, ServerTarget)
        token = target.through.partition(", ")[2]
        let_on = server.effect(bot, asked("INVITE", BOB, ("route", token)))
        received = server.received(server.phone(), asked("INVITE"))
        unused = replace(screened.otherwise, token="that of another call")
        without = server.step(Diverting(received, ALICE, Divert((), onward=unused.onward, screening=unused)))
        failed = Divert((), onward=screened.otherwise.onward, screening=screened.otherwise, failed_with=500)
        after = server.step(Diverting(received, ALICE, failed))
        assert isinstance(after, Answer)
        assert after.status == 500
        for onward in (let_on, without):
            assert isinstance(onward, Forward)
            [phone] = onward.targets
            assert isinstance(phone, FlowTarget)
            assert (phone.flow, onward.identity) == (bob.number, ALICE)
        refused = server.effect(bot, asked("INVITE", BOB, ("route", "<sip:screened.x@fe1.example.test;lr>")))
        assert isinstance(refused, Answer)
        assert refused.status == 403


@on_loop
async def test_home_pool_of_a_caller_carries_a_diversion_out(two_pools: Network) -> None:
    async with still_server(two_pools.organisations[0]) as server:
        received = server.received(server.server(FE3), asked("INVITE", ALICE, sender="sip:dora@example.test"))
        wanted = Divert((Diversion(ALICE, BOB, Reason.AWAY),))
        answer = server.step(Diverting(received, "sip:dora@example.test", wanted))
        assert isinstance(answer, Answer)
        assert answer.status == 302
