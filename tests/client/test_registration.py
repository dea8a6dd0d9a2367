"""A kept registration: refreshed in time, made again after a lost link, and not repeated after a refused login."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

import pytest

from client.home import HERE, Certificates, Home
from sipmesh.client.agent import LinkLostError, UserAgent
from sipmesh.client.answering import Event
from sipmesh.client.outcome import Outcome
from sipmesh.client.party import new_instance
from sipmesh.client.registration import KeptRegistration, RetryDelay, granted_s, refresh_in_s, retry_after_s
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.transport.link.link import Link
from support.running import on_jumping_loop, until

ALICE = "sip:alice@example.test"
ASKED_S = 600


class Registrar(Home):
    """A home server whose answers to REGISTER the test chooses; *at* has the loop time of each registration."""

    grants_s: int | None = None
    status = 0

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(certificates)
        self.at: list[float] = []

    def register(self, link: Link, request: Request) -> Response:
        self.at.append(asyncio.get_running_loop().time())
        if self.status:
            return respond(request, self.status, headers=[("retry-after", "17"), ("min-expires", "900")])
        response = super().register(link, request)
        if self.grants_s is not None:
            value = f"{request.first('contact')}".replace(f"expires={ASKED_S}", f"expires={self.grants_s}")
            response = respond(request, 200, headers=[("contact", value)])
        return response


@dataclass
class Heard:
    """Records the calls of a registration."""

    seconds: list[int] = field(default_factory=list)
    agents: list[UserAgent] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    losses: list[tuple[str, float]] = field(default_factory=list)

    def registered(self, agent: UserAgent, _outcome: Outcome, seconds: int) -> None:
        self.agents.append(agent)
        self.seconds.append(seconds)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def lost(self, why: str, wait_s: float) -> None:
        self.losses.append((why, wait_s))


class Kept:
    """Alice, registered at a home server until the test ends."""

    def __init__(self, home: Registrar, password: str = "") -> None:
        self.home, self.password, self.heard = home, password, Heard()
        self.reachable, self.instance = True, new_instance()
        self.registration = KeptRegistration(self.connect, ASKED_S, self.heard, RetryDelay(lambda: 1.0))

    async def connect(self) -> UserAgent:
        if not self.reachable:
            raise LinkLostError("connection refused")
        trust = self.home.certificates.trust
        agent = UserAgent("alice@example.test", self.password or "alice-pw", trust=trust, instance=self.instance)
        await agent.connect(HERE, self.home.listener.port)
        return agent

    async def __aenter__(self) -> Self:
        self.task = asyncio.ensure_future(self.registration.keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@on_jumping_loop
@pytest.mark.wide
async def test_registration_is_refreshed_before_it_expires(
    certificates: Certificates,
) -> None:
    async with Registrar(certificates) as home, Kept(home) as kept:
        await asyncio.sleep(10 * ASKED_S)
        [row] = home.rows[ALICE]
        assert len(kept.heard.seconds) == 12
        steps = [after - before for before, after in zip(home.at, home.at[1:], strict=False)]
        assert all(step == pytest.approx(ASKED_S - 60, abs=1) for step in steps)
        assert row.instance == kept.instance
        assert kept.heard.losses == []
        assert len(home.links) == 1, "keepalives have held one link for all of it"


@on_jumping_loop
@pytest.mark.wide
async def test_granted_time_replaces_the_requested_time(certificates: Certificates) -> None:
    async with Registrar(certificates) as home:
        home.grants_s = 60
        async with Kept(home) as kept:
            await asyncio.sleep(301)
            assert set(kept.heard.seconds) == {60}
            assert len(home.at) == 11


@on_jumping_loop
@pytest.mark.wide
async def test_lost_link_is_opened_again_and_the_same_device_registers(
    certificates: Certificates,
) -> None:
    async with Registrar(certificates) as home, Kept(home) as kept:
        await until(lambda: kept.heard.seconds)
        kept.reachable = False
        home.links[0].close("the cable")
        await asyncio.sleep(500)
        waits = [wait for _, wait in kept.heard.losses]
        assert waits[:6] == [2, 4, 8, 16, 32, 60]
        assert set(waits[6:]) == {60}
        assert "connection refused" in kept.heard.losses[-1][0]
        kept.reachable = True
        await asyncio.sleep(61)
        assert len(kept.heard.seconds) == 2
        assert kept.heard.agents[1] is not kept.heard.agents[0]
        assert [row.instance for row in home.rows[ALICE]] == [kept.instance]
        home.links[-1].close("once more")
        await until(lambda: len(kept.heard.seconds) == 3)
        assert kept.heard.losses[-1][1] == 2, "after a success the first wait counts again"


@on_jumping_loop
@pytest.mark.wide
async def test_silent_server_is_left_and_used_again_later(certificates: Certificates) -> None:
    """It does not answer keepalives: the link closes, and the next link registers."""
    async with Registrar(certificates) as home, Kept(home) as kept:
        await until(lambda: kept.heard.seconds)
        home.silent = frozenset({"REGISTER"})
        await asyncio.sleep(ASKED_S + 60)
        assert kept.heard.losses
        home.silent = frozenset()
        await asyncio.sleep(200)
        assert len(kept.heard.seconds) >= 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_final_refusal_is_not_repeated(certificates: Certificates, status: int) -> None:
    """A password was changed: further attempts would lock the user out."""

    @on_jumping_loop
    async def refused() -> None:
        async with Registrar(certificates) as home, Kept(home) as kept:
            await until(lambda: kept.heard.seconds)
            home.status = status
            home.links[0].close("the password has changed")
            outcome = await kept.task
            assert outcome.status == status
            before = len(home.heard)
            await asyncio.sleep(1000)
            assert len(home.heard) == before

    refused()


@on_jumping_loop
async def test_wrong_password_is_tried_once(certificates: Certificates) -> None:
    async with Registrar(certificates) as home, Kept(home, "wrong") as kept:
        assert (await kept.task).status == 401
        assert len([one for one in home.heard if one.has("authorization")]) == 1
        assert kept.heard.losses == []


@on_jumping_loop
@pytest.mark.wide
async def test_busy_server_is_tried_again_after_its_retry_after(certificates: Certificates) -> None:
    async with Registrar(certificates) as home:
        home.status = 503
        async with Kept(home) as kept:
            await until(lambda: kept.heard.losses)
            assert kept.heard.losses[0] == ("the server answered 503 Service Unavailable", 17.0)
            home.status = 0
            await until(lambda: kept.heard.seconds)
            assert home.at[-1] - home.at[0] == pytest.approx(17, abs=1)


@on_jumping_loop
async def test_423_repeats_the_registration_with_min_expires(certificates: Certificates) -> None:
    async with Registrar(certificates) as home:
        home.status = 423
        async with Kept(home) as kept:
            assert (await kept.task).status == 423
            assert len(home.at) == 2
            asked = [one.contacts[0].param("expires") for one in home.heard if one.method == "REGISTER"]
            assert asked[-1] == "900"


@on_jumping_loop
async def test_events_of_every_link_are_reported(certificates: Certificates) -> None:
    async with Registrar(certificates) as home, Kept(home) as kept:
        bob = await home.agent("bob")
        await until(lambda: kept.heard.seconds)
        assert (await bob.message("alice@example.test", "one")).ok
        next(link for link in home.links if link is home.users["alice"]).close("the cable")
        await until(lambda: len(kept.heard.seconds) == 2)
        assert (await bob.message("alice@example.test", "two")).ok
        await until(lambda: len(kept.heard.events) == 2)
        assert [getattr(event, "text", "") for event in kept.heard.events] == ["one", "two"]


INSTANCE = "<urn:uuid:1>"
OURS = f'<sip:a@192.0.2.1>;+sip.instance="{INSTANCE}"'
OTHERS = '<sip:a@192.0.2.2>;+sip.instance="<urn:uuid:2>";expires=7'


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("contact", f"{OTHERS}, {OURS};expires=90")], 90),
        ([("contact", f"{OURS}"), ("expires", "80")], 80),
        ([("contact", OURS)], ASKED_S),
        ([("contact", "<sip:a@192.0.2.1>;expires=70")], 70),
        ([], ASKED_S),
        ([("contact", OTHERS)], 0),
        ([("contact", f"{OURS};expires=0")], 0),
        ([("contact", f"{OURS};expires=soon")], 0),
        ([("contact", "<sip:a")], 0),
    ],
)
def test_granted_time_is_that_of_our_own_contact(headers: list[tuple[str, str]], seconds: int) -> None:
    assert granted_s(answered(headers), INSTANCE, ASKED_S) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"), [("5", 5), ("5;duration=60", 5), ("18 (busy)", 18), ("99999", 3600), ("x", 0)]
)
def test_requested_wait_is_limited(said: str, seconds: float) -> None:
    assert retry_after_s(answered([("retry-after", said)])) == seconds


@pytest.mark.parametrize(("granted", "refresh"), [(600, 540), (120, 60), (60, 30), (2, 1)])
def test_refresh_leaves_time_for_its_answer(granted: int, refresh: float) -> None:
    assert refresh_in_s(granted) == refresh


def test_waits_are_spread_between_half_and_all_of_their_bound() -> None:
    for entropy, waits in ((0.0, [1, 2, 4]), (1.0, [2, 4, 8])):
        backoff = RetryDelay(lambda entropy=entropy: entropy)  # type: ignore[misc]
        assert [backoff.next_s() for _ in range(3)] == waits


def answered(headers: list[tuple[str, str]]) -> Response:
    fixed = [("via", "SIP/2.0/TLS h;branch=z9hG4bK1"), ("from", "<sip:a@b>;tag=1"), ("to", "<sip:a@b>")]
    request = build_request("REGISTER", "sip:b", [*fixed, ("call-id", "c"), ("cseq", "1 REGISTER")])
    return respond(request, 200, headers=headers)
