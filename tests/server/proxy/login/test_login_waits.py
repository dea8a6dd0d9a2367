"""After failed logins the next attempt waits, and its handler is called at the end of the wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sipmesh.routing.authentication.backoff import FailureLimits, LoginBackoff
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.login.login_waits import MOST_WAITING_BODY, LoginWaits, PendingLogin
from sipmesh.server.running.running_server import RunningServer
from support.network import FE1, Network
from support.peer import Peer
from support.received import received
from support.running import on_loop, until

ALICE = "sip:alice@example.test"
CREDENTIALS = ("authorization", 'Digest username="alice"')


@dataclass
class Handler:
    """Records how waits end."""

    resumed: list[PendingLogin] = field(default_factory=list)
    given_up: list[PendingLogin] = field(default_factory=list)

    def login_due(self, pending: PendingLogin) -> None:
        """Record the end of the wait."""
        self.resumed.append(pending)

    def login_given_up(self, pending: PendingLogin) -> None:
        """Record a refused attempt."""
        self.given_up.append(pending)


@dataclass
class Scene:
    """One phone without a login, on a server with short waits, after *failed* logins."""

    node: RunningServer
    phone: Peer
    limits: FailureLimits = field(default_factory=lambda: FailureLimits(first_delay_s=0.05))
    handler: Handler = field(default_factory=Handler)

    def __post_init__(self) -> None:
        self.failures = LoginBackoff(self.limits)
        self.waits = LoginWaits(self.node.loop, self.failures, self.node.accounts)

    @property
    def flow(self) -> Flow:
        """Return the flow of the phone."""
        [flow] = self.node.flow_table.sessions()
        return flow

    def login(self, *headers: tuple[str, str], body: bytes = b"") -> PendingLogin:
        """Return a login attempt."""
        request = self.phone.request("REGISTER", "sip:example.test", list(headers), body)
        return PendingLogin(received(self.flow, request), ALICE, self.handler)

    def fail(self, times: int) -> None:
        """Count failed logins."""
        for _ in range(times):
            self.failures.failed(self.login().attempt, self.node.loop.time())

    def has_to_wait(self, pending: PendingLogin) -> bool:
        """Return whether an attempt has to wait."""
        return self.waits.has_to_wait(pending)


async def scene_of(home: Network) -> Scene:
    """The scene, once the server has the link."""
    phone = await home.peer(FE1, "alice")
    node = home.nodes[FE1]
    await until(lambda: [flow for flow in node.flow_table.sessions() if flow.sender is not None])
    return Scene(node, phone)


@on_loop
async def test_first_attempt_does_not_wait(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        assert not scene.has_to_wait(scene.login(CREDENTIALS))
        assert scene.handler == Handler()


@on_loop
async def test_attempt_after_failures_continues_after_its_wait(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        scene.fail(3)
        pending = scene.login(CREDENTIALS)
        assert scene.has_to_wait(pending)
        assert scene.handler.resumed == []
        await until(lambda: scene.handler.resumed == [pending])


@on_loop
async def test_attempt_of_a_closed_link_does_not_continue(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        scene.fail(3)
        assert scene.has_to_wait(scene.login(CREDENTIALS))
        scene.waits.gone(scene.flow)
        await asyncio.sleep(0.3)
        assert scene.handler == Handler()


@on_loop
async def test_attempt_displaced_by_a_newer_one_is_refused(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        scene.failures = LoginBackoff(FailureLimits(waiting_per_user=1))
        scene.waits = LoginWaits(scene.node.loop, scene.failures, scene.node.accounts)
        scene.fail(3)
        first, second = scene.login(CREDENTIALS), scene.login(CREDENTIALS)
        assert scene.has_to_wait(first)
        assert scene.has_to_wait(second)
        assert scene.handler.given_up == [first]


@on_loop
async def test_request_with_a_long_body_is_refused(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        scene.fail(3)
        longest = scene.login(CREDENTIALS, body=bytes(MOST_WAITING_BODY))
        longer = scene.login(CREDENTIALS, body=bytes(MOST_WAITING_BODY + 1))
        assert scene.has_to_wait(longer)
        assert scene.handler.given_up == [longer]
        assert scene.has_to_wait(longest)
        assert scene.handler.given_up == [longer]


@on_loop
async def test_link_that_has_failed_too_often_is_closed(home: Network) -> None:
    async with home:
        scene = await scene_of(home)
        pending = scene.login(CREDENTIALS)
        scene.fail(scene.limits.link_closes_at)
        assert scene.has_to_wait(pending)
        await until(lambda: not scene.node.flow_table.sessions())
