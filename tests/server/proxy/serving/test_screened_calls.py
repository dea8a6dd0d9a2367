"""Which calls an application screens, and which of them go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.call_rules.diversion import Diversion, Reason
from sipmesh.routing.identity.route_set import NOWHERE
from sipmesh.routing.identity.sender import Sender, ServerSender
from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable
from sipmesh.routing.outcome import Answer, Forward, Screening, ToUser
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.serving.screened_calls import HOPS, LASTS_S, let_on, mark_of_screened, to_screener
from sipmesh.sip.message import Request
from support.network import BOT, FE2, POOL, POOL2, Network
from support.running import on_loop
from support.still_server import StillServer, asked, still_server

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a link is no object of a compiled class")

ALICE, BOB, CAROL = (f"sip:{name}@example.test" for name in ("alice", "bob", "carol"))
SCREENS = ApplicationRoute(BOT, POOL, frozenset(), (), public=False, screens=frozenset({"bob@example.test"}))


def sender_of(server: StillServer, name: str = "") -> Sender:
    """Give alice on her link, or the server *name*."""
    sender = (server.server(name) if name else server.phone()).sender
    assert sender is not None
    return sender


def screened(
    server: StillServer, request: Request, user: ToUser, name: str = "", route: ApplicationRoute = SCREENS
) -> Forward | Answer | None:
    """Have the application of *route* screen a call of alice, or of the server *name*."""
    in_force = replace(server.parts.setup.current.value, applications=ApplicationTable([route]))
    return to_screener(server.state, in_force, sender_of(server, name), request, user)


@pytest.mark.parametrize(
    ("request_", "user", "name"),
    [
        (lambda: asked("INVITE"), ToUser(CAROL, ALICE), ""),
        (lambda: asked("INVITE", tag="x"), ToUser(BOB, ALICE), ""),
        (lambda: asked("INVITE"), ToUser(BOB, ALICE, is_screened=True), ""),
        (lambda: asked("INVITE"), ToUser(BOB, f"sip:700@{BOT}"), BOT),
        (lambda: asked("INVITE"), ToUser(BOB, ALICE, chain=(Diversion(CAROL, BOB, Reason.FOLLOW_ME),)), ""),
        (
            lambda: asked("INVITE", "sip:bob@example.test", ("history-info", "<sip:x@y>;index=1;beside")),
            ToUser(BOB, ALICE),
            FE2,
        ),
        (lambda: asked("INVITE", "sip:112@example.test"), ToUser(BOB, ALICE), ""),
    ],
)
@on_loop
async def test_call_is_not_screened(home: Network, request_: Callable[[], Request], user: ToUser, name: str) -> None:
    """To another user, inside a call, let on before, of the application, beside another phone, and an emergency call."""
    async with still_server(home.organisations[0]) as server:
        current = server.parts.setup.current
        general = current.value.numbers.general
        general = replace(general, plan=replace(general.plan, emergency=frozenset({"112"})))
        current.value = replace(current.value, numbers=replace(current.value.numbers, general=general))
        assert screened(server, request_(), user, name) is None


@on_loop
async def test_call_in_place_of_another_one_needs_a_phone_that_knows_replaces(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        request = asked("INVITE", BOB, ("replaces", "a;to-tag=b;from-tag=c"))
        assert screened(server, request, ToUser(BOB, ALICE)) is None
        assert request.items("require") == ["replaces"]


@pytest.mark.parametrize("passes", [False, True])
@on_loop
async def test_users_who_were_taken_over_have_no_application_here(home: Network, *, passes: bool) -> None:
    async with still_server(home.organisations[0]) as server:
        there = replace(SCREENS, next_hop=POOL2, passes=passes)
        table: Any = SimpleNamespace(screener=lambda aor, home: there)  # noqa: ARG005 - each user is one of the other pool
        in_force = replace(server.parts.setup.current.value, applications=table)
        found = to_screener(server.state, in_force, sender_of(server), asked("INVITE"), ToUser(BOB, ALICE))
        assert (found.status if isinstance(found, Answer) else found) == (None if passes else 503)


@on_loop
async def test_hops_end(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        last = screened(server, asked("INVITE", BOB, ("max-forwards", str(HOPS + 1))), ToUser(BOB, ALICE))
        over = screened(server, asked("INVITE", BOB, ("max-forwards", str(HOPS))), ToUser(BOB, ALICE))
        assert isinstance(last, Forward)
        assert isinstance(over, Answer)
        assert over.status == 483


async def token_for(server: StillServer, request: Request) -> str:
    """Have a call to bob screened; gives the Route entry behind that of the application."""
    found = screened(server, request, ToUser(BOB, ALICE))
    assert isinstance(found, Forward)
    assert isinstance(found.otherwise, Screening)
    [target] = found.targets
    assert isinstance(target, ServerTarget)
    own, _, ours = target.through.partition(", ")
    assert own == f"<sip:{BOT};transport=tls;lr>"
    return ours


def comes_back(server: StillServer, request: Request, name: str = BOT) -> ToUser | Answer:
    """Have the application *name* let a call on by *request*."""
    sender, in_force = sender_of(server, name), server.parts.setup.current.value
    assert isinstance(sender, ServerSender)
    token = mark_of_screened(sender, request)
    return let_on(server.state, in_force, sender, request, NOWHERE, token)


@on_loop
async def test_call_is_let_on_once_with_its_caller_and_fewer_hops(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        ours = await token_for(server, asked("INVITE"))
        back = asked("INVITE", BOB, ("route", ours))
        user = comes_back(server, back)
        assert isinstance(user, ToUser)
        assert (user.aor, user.identity, user.is_screened) == (BOB, ALICE, True)
        assert back.max_forwards == 70 - HOPS
        again = comes_back(server, asked("INVITE", BOB, ("route", ours)))
        assert isinstance(again, Answer)
        assert "has let another call on" in again.why


@pytest.mark.parametrize(
    ("uri", "headers", "why"),
    [
        (CAROL, (), "gave bot.example.test no such token"),
        (f"sip:700@{BOT}", (), "is no user"),
        (BOB, (("privacy", "none"),), "the Privacy of the call which was screened is missing"),
    ],
)
@on_loop
async def test_token_does_not_count(home: Network, uri: str, headers: tuple[tuple[str, str], ...], why: str) -> None:
    async with still_server(home.organisations[0]) as server:
        ours = await token_for(server, asked("INVITE", BOB, ("privacy", "id")))
        refused = comes_back(server, asked("INVITE", uri, ("route", ours), *headers))
        assert isinstance(refused, Answer)
        assert (refused.status, why in refused.why) == (403, True)


@on_loop
async def test_token_ends_and_is_for_the_same_from(home: Network) -> None:
    async with still_server(home.organisations[0]) as server:
        ours, at = await token_for(server, asked("INVITE")), server.state.wall()
        other = asked("INVITE", BOB, ("route", ours))
        other.replace("from", "<sip:carol@example.test>;tag=x")
        refused = comes_back(server, other)
        server.state.wall = lambda: at + LASTS_S + 1
        late = comes_back(server, asked("INVITE", BOB, ("route", ours)))
        server.state.wall = lambda: at - 2
        of_the_future = comes_back(server, asked("INVITE", BOB, ("route", ours)))
        assert isinstance(refused, Answer)
        assert isinstance(late, Answer)
        assert isinstance(of_the_future, Answer)
        assert ("From" in refused.why, "has ended" in late.why) == (True, True)
        assert of_the_future.why == late.why


@pytest.mark.parametrize(
    ("name", "route"), [(BOT, ""), (BOT, "<sip:fe1.example.test;lr>"), (FE2, "<sip:screened.x@fe1.example.test;lr>")]
)
@on_loop
async def test_request_is_none_of_a_screened_call(home: Network, name: str, route: str) -> None:
    async with still_server(home.organisations[0]) as server:
        request = asked("INVITE", BOB, *((("route", route),) if route else ()))
        assert mark_of_screened(sender_of(server, name), request) == ""
        assert request.items("route") == ([route] if route else [])
