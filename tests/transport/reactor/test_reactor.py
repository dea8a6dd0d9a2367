"""The epoll of the links, with a test for each of its hazards."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.routing.overload import Demand
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.tls.pyopenssl import Room
from sipmesh.transport.watched import Watched
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from transport.world import WITHIN_S, Node, Peer, bodies, on_loop, predictable, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.verdict import Verdict
    from transport.authority import Authority

both_ports = pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])


class Pair(Watched):
    """A watched object: one end of a socket pair, with a function for its events."""

    def __init__(self, reactor: Reactor, act: Callable[[], None] = lambda: None) -> None:
        self.reactor, self.act = reactor, act
        self.generation = self.served = self.faults = 0
        self.ours, self.theirs = socket.socketpair()
        reactor.watch(self.ours.fileno(), self)

    def ready(self, _mask: int) -> None:
        self.served += 1
        self.ours.recv(1)
        self.act()

    def broken(self, _error: Exception) -> None:
        self.faults += 1

    def flush(self) -> None:
        self.act()

    def close(self) -> None:
        self.reactor.unwatch(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


async def one_turn(reactor: Reactor) -> None:
    """Let the reactor run one turn."""
    before = reactor.turns
    while reactor.turns == before:
        await asyncio.sleep(0)


@both_ports
@on_loop
async def test_thousand_messages_do_not_delay_one(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """The small link writes when the first of the thousand messages arrives, and is served long before the last."""
    async with Node(ca, here) as node:
        listener = node.listen(kind)
        busy, small = await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, there)
        async with busy, small:
            await node.heard.until(lambda: len(node.heard.up) == 2)
            node.heard.on_message = once(lambda: small.sock.sendall(request("small")))
            await busy.send(b"".join(request(f"{at:0500}") for at in range(1000)))
            await node.heard.until(lambda: len(node.heard.messages) == 1001)
        order = bodies(node.heard)
        assert order.index("small") < 700
        assert [text for text in order if text != "small"] == [f"{at:0500}" for at in range(1000)]


@both_ports
@on_loop
async def test_flood_of_handshakes_leaves_the_relay_running(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """One handshake step per turn: between any two of thirty handshakes the ping-pong continues."""
    async with Node(ca, here, limits=Limits(handshakes_per_turn=1)) as server, Node(ca, there) as client:
        judged_in: list[int] = []
        seen_by: list[int] = []

        def judge(link: Link, evidence: PeerEvidence) -> Verdict:
            judged_in.append(server.reactor.turns)
            seen_by.append(len(server.heard.messages))
            return predictable(link, evidence)

        server.heard.on_message = client.heard.on_message = send_back
        hop = client.hop("here.test", server.listen(kind))
        client.pool.obtain(hop).send(request())
        await client.heard.until(lambda: client.heard.messages)
        server.heard.judge_by = judge
        for _ in range(30):
            client.connector.dial(hop)
        await server.heard.until(lambda: len(judged_in) == 30)
        assert len(set(judged_in)) == 30
        assert seen_by[-1] - seen_by[0] >= 10


class Step(Watched):
    """One end of a socket pair in which an octet always waits, before the end of its handshake."""

    def __init__(self, reactor: Reactor) -> None:
        self.generation = self.served = 0
        self.ours, self.theirs = socket.socketpair()
        self.theirs.sendall(b"x")
        reactor.watch_steps(self.ours.fileno(), self)

    def ready(self, _mask: int) -> None:
        self.served += 1


@on_loop
async def test_each_turn_takes_a_few_steps_of_handshakes_in_rotation_and_all_messages() -> None:
    """Ten connections are ready, and two steps fit into a turn. A link that is up by now is served in each turn."""
    reactor = Reactor(asyncio.get_running_loop(), Limits(handshakes_per_turn=2))
    steps, pair = [Step(reactor) for _ in range(10)], Pair(reactor)
    for turns in range(1, 6):
        pair.theirs.sendall(b"x")
        await one_turn(reactor)
        assert (sum(step.served for step in steps), pair.served) == (2 * turns, turns)
    assert {step.served for step in steps} == {1}
    up = steps[0]
    reactor.steps_done(up.ours.fileno())
    for _ in range(3):
        await one_turn(reactor)
    assert (up.served, sum(step.served for step in steps)) == (1 + 3, 10 + 3 + 6)
    for step in steps:
        reactor.unwatch(step.ours.fileno())
        step.ours.close()
        step.theirs.close()
    pair.close()
    reactor.close()


@both_ports
@on_loop
async def test_link_closed_and_another_opened_in_one_batch_are_not_mixed_up(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Both links are ready in one batch; the message of the first closes the second and opens a third."""
    async with Node(ca, here) as node, Node(ca, there) as other:
        listener, elsewhere = node.listen(kind), other.listen(LinkKind.SERVER)
        first, second = await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, there)
        async with first, second:
            await node.heard.until(lambda: len(node.heard.up) == 2)
            opened: list[Link] = []

            def swap(link: Link, _message: Request | Response) -> None:
                other_link = next(one for one in node.heard.up if one is not link)
                other_link.close("swapped")
                opened.append(node.connector.dial(node.hop("there.test", elsewhere)))

            node.heard.on_message = swap
            first.sock.sendall(request("first"))
            second.sock.sendall(request("second"))
            await node.heard.until(lambda: len(node.heard.up) == 3)
            assert len(bodies(node.heard)) == 1
            assert node.heard.up[2] is opened[0]
            assert opened[0].state is LinkState.UP


@on_loop
async def test_event_of_a_reused_descriptor_number_is_dropped() -> None:
    """Closing within a batch breaks our rule, and a new object gets the number: its generation protects it."""
    reactor = Reactor(asyncio.get_running_loop())
    newcomers: list[Pair] = []
    first = Pair(reactor)
    second = Pair(reactor)

    def replace_second() -> None:
        number = second.ours.fileno()
        second.close()
        newcomers.append(Pair(reactor, lambda: None))
        assert number in (newcomers[0].ours.fileno(), newcomers[0].theirs.fileno())

    first.act = replace_second
    first.theirs.send(b"x")
    second.theirs.send(b"x")
    await one_turn(reactor)
    assert (first.served, second.served, newcomers[0].served) == (1, 0, 0)
    newcomers[0].theirs.send(b"x")
    await one_turn(reactor)
    assert newcomers[0].served == 1
    for pair in (first, newcomers[0]):
        pair.close()
    reactor.close()


@both_ports
@on_loop
async def test_bytes_that_tls_holds_are_read_without_another_event(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """One record, read in small portions, one per turn: epoll does not report what OpenSSL has decrypted."""
    async with Node(ca, here, limits=Limits(turn_bytes_client=1, turn_bytes_server=1)) as node:
        node.reactor.room = Room(300)
        async with await Peer.dial(node.listen(kind), ca, there) as peer:
            await peer.send(b"".join(request(f"{at}") for at in range(50)))
            await node.heard.until(lambda: len(node.heard.messages) == 50)
        assert bodies(node.heard) == [f"{at}" for at in range(50)]


@on_loop
async def test_bug_while_one_link_is_served_does_not_reach_another(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as node:
        told: list[dict[str, object]] = []
        node.reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
        listener = node.listen(LinkKind.SERVER)
        first, second = await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, there)
        async with first, second:
            node.heard.on_message = fail_over_bad
            await first.send(request("bad"))
            assert await first.ended() == ""
            await second.send(request("good"))
            await node.heard.until(lambda: len(node.heard.messages) == 2)
        assert isinstance(told[0]["exception"], ZeroDivisionError)
        assert node.heard.down[0][1] == "bug in this server: ZeroDivisionError"


@on_loop
async def test_failed_write_of_one_link_does_not_stop_the_others() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    told: list[dict[str, object]] = []
    reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
    written = asyncio.Event()
    bad, good = Pair(reactor, fail), Pair(reactor, written.set)
    reactor.dirty(bad)
    reactor.dirty(good)
    await asyncio.wait_for(written.wait(), WITHIN_S)
    assert (bad.faults, good.faults) == (1, 0)
    assert isinstance(told[0]["exception"], ZeroDivisionError)
    bad.close()
    good.close()
    reactor.close()


@on_loop
async def test_bug_while_writing_closes_that_link() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    told: list[dict[str, object]] = []
    reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
    pair = Pair(reactor, fail)
    reactor.dirty(pair)
    await one_turn(reactor)
    assert (pair.faults, len(told)) == (1, 1)
    pair.close()
    reactor.close()


@on_loop
async def test_alarm_comes_once_and_can_be_moved_forward() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    rung: list[str] = []
    timed = {name: Alarm(reactor, name, rung) for name in ("late", "soon", "moved")}
    now = reactor.loop.time()
    reactor.set_alarm(timed["late"], now + 3600)
    reactor.set_alarm(timed["soon"], now + 0.02)
    reactor.set_alarm(timed["moved"], now + 3600)
    reactor.set_alarm(timed["moved"], now + 0.01)
    await asyncio.wait_for(timed["soon"].over.wait(), WITHIN_S)
    assert rung == ["moved", "moved", "soon"]
    reactor.close()


@on_loop
async def test_bug_in_an_alarm_closes_only_its_owner() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    told: list[dict[str, object]] = []
    reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
    bad, good = FaultyAlarm(reactor), Alarm(reactor, "good", [""])
    reactor.set_alarm(bad, 1.0)
    reactor.set_alarm(good, 1.1)
    await asyncio.wait_for(good.over.wait(), WITHIN_S)
    assert (bad.faults, len(told)) == (1, 1)
    reactor.close()


def test_reactor_runs_on_any_loop(ca: Authority, here: Identity, there: Identity) -> None:
    """Our loop waits in the reactor; any other loop watches the reactor like any descriptor."""

    async def relay() -> str:
        async with Node(ca, here) as server, Node(ca, there) as client:
            server.heard.on_message = send_back
            client.pool.obtain(client.hop("here.test", server.listen(LinkKind.SERVER))).send(request("round"))
            await client.heard.until(lambda: client.heard.messages)
            return bodies(client.heard)[0]

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        assert runner.run(relay()) == "round"


@on_loop
async def test_closed_reactor_closes_its_links_and_reports_them(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as node, await Peer.dial(node.listen(LinkKind.CLIENT), ca, there) as peer:
        await node.heard.until(lambda: node.heard.up)
        node.listeners[0].close()
        node.reactor.close()
        assert [why for _, why, _ in node.heard.down] == ["this server stops"]
        assert await peer.ended() == ""


@on_loop
async def test_turn_that_was_due_is_not_taken_after_the_reactor_is_closed(
    ca: Authority, here: Identity, there: Identity
) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    async with Node(ca, here) as node, await Peer.dial(node.listen(LinkKind.CLIENT), ca, there):
        await node.heard.until(lambda: node.heard.up)
        node.listeners[0].close()
        node.reactor.read_again(node.heard.up[0])
        node.reactor.close()
        await asyncio.sleep(0)
    assert faults == []


class Alarm:
    def __init__(self, reactor: Reactor, name: str, rung: list[str]) -> None:
        self.reactor = reactor
        self.name, self.rung, self.alarm = name, rung, 0.0
        self.over = asyncio.Event()

    def due(self, _now: float) -> None:
        self.rung.append(self.name)
        if len(self.rung) == 1:  # an alarm time in the past, set from within the alarm
            self.reactor.set_alarm(self, self.reactor.loop.time() - 1)
        self.over.set()

    def broken(self, error: Exception) -> None:
        raise AssertionError from error


class FaultyAlarm(Pair):
    alarm = 0.0

    def due(self, _now: float) -> None:
        self.close()
        raise ZeroDivisionError


def once(act: Callable[[], None]) -> Callable[[Link, Request | Response], None]:
    left = [act]
    return lambda _link, _message: left.pop()() if left else None


def send_back(link: Link, message: Request | Response) -> None:
    link.send(request(message.body.decode()))


def fail() -> None:
    raise ZeroDivisionError


def fail_over_bad(_link: Link, message: Request | Response) -> None:
    if message.body == b"bad":
        raise ZeroDivisionError


class Slow(Watched):
    """A descriptor that is always ready, of a principal, and takes as long as a clock says that is turned here."""

    def __init__(self, reactor: Reactor, clock: TurnedClock, takes_s: float, order: list[Slow]) -> None:
        self.generation = 0
        self.demand = Demand()
        self._reactor, self._clock, self._takes_s, self._order = reactor, clock, takes_s, order
        self.ours, self.theirs = socket.socketpair()
        self.theirs.sendall(b"x")
        reactor.watch(self.ours.fileno(), self)

    def principal(self) -> Demand:
        return self.demand

    def ready(self, _mask: int) -> None:
        self._clock.now += self._takes_s
        self._order.append(self)

    def close(self) -> None:
        self._reactor.unwatch(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


class TurnedClock:
    """Gives the time that the objects of a test say it is."""

    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> TurnedClock:
    return TurnedClock()


def clocked(clock: TurnedClock) -> Reactor:
    reactor = Reactor(asyncio.get_running_loop())
    reactor._clock = clock
    return reactor


@pytest.mark.skipif(built() == "compiled", reason="the clock of a compiled reactor is not ours")
@pytest.mark.parametrize(("takes_s", "each_turn"), [(0.0001, 6), (0.009, 3), (0.02, 2), (0.021, 1), (5.0, 1)])
@on_loop
async def test_turn_ends_after_its_time_with_work_left_and_the_next_one_goes_on_there(
    clock: TurnedClock, takes_s: float, each_turn: int
) -> None:
    """Six descriptors are always ready: each has its turn before one has the second."""
    reactor, order = clocked(clock), list[Slow]()
    slow = [Slow(reactor, clock, takes_s, order) for _ in range(6)]
    for turn in range(1, 7):
        reactor._turn()
        assert len(order) == min(turn * each_turn, 100)
    for begin in range(0, len(order) - 5, 6):
        assert set(order[begin : begin + 6]) == set(slow)
    for one in slow:
        one.close()
    reactor.close()


@pytest.mark.skipif(built() == "compiled", reason="the clock of a compiled reactor is not ours")
@pytest.mark.parametrize(("waits_s", "each_turn"), [(0.0, 3), (0.001, 21)])
@on_loop
async def test_turn_is_short_while_the_loop_has_something_to_do(
    clock: TurnedClock, waits_s: float, each_turn: int
) -> None:
    """A command, or what another process has sent, takes many steps of the loop, and each waits for a turn."""
    reactor, order = clocked(clock), list[Slow]()
    slow = [Slow(reactor, clock, 0.001, order) for _ in range(40)]
    reactor.wait(waits_s)
    assert len(order) == each_turn
    for one in slow:
        one.close()
    reactor.close()


@pytest.mark.skipif(built() == "compiled", reason="the clock of a compiled reactor is not ours")
@on_loop
async def test_principal_that_takes_far_more_time_than_others_is_served_behind_them(clock: TurnedClock) -> None:
    """It has 24 descriptors, and 50 ms for each; another ready principal waits for one of these, and not for all."""
    reactor, order = clocked(clock), list[Slow]()
    greedy = [Slow(reactor, clock, 0.05, order) for _ in range(24)]
    for one in greedy[1:]:
        one.demand = greedy[0].demand
    for _ in range(10):
        reactor._turn()
    modest = Slow(reactor, clock, 0.0001, order)
    order.clear()
    for _ in range(40):
        reactor._turn()
    turns_of_modest = [at for at, one in enumerate(order) if one is modest]
    assert turns_of_modest[0] <= 1
    assert max(after - at for at, after in pairwise(turns_of_modest)) <= 2
    assert set(greedy) <= set(order), "the others have what is left"
    for one in (*greedy, modest):
        one.close()
    reactor.close()


@pytest.mark.skipif(built() == "compiled", reason="the clock of a compiled reactor is not ours")
@on_loop
async def test_wait_of_the_further_descriptors_of_a_heavy_principal_is_no_overload(clock: TurnedClock) -> None:
    """It has 16, and 50 ms for each: it waits for itself. The control: 3 principals, and 16, wait for one another."""
    for count in (1, 3, 16):
        reactor = clocked(clock)
        demands = [Demand() for _ in range(count)]
        slow = [Slow(reactor, clock, 0.05, []) for _ in range(16)]
        for at, one in enumerate(slow):
            one.demand = demands[at % count]
        reactor.probe._clock = clock
        for _ in range(200):
            reactor._turn()
        assert (reactor.overload.episodes > 0) is (count > 1)
        for one in slow:
            one.close()
        reactor.close()


@pytest.mark.skipif(built() == "compiled", reason="the clock of a compiled reactor is not ours")
@on_loop
async def test_what_was_left_and_given_up_since_is_not_served(clock: TurnedClock) -> None:
    reactor, order = clocked(clock), list[Slow]()
    first, second = (Slow(reactor, clock, 1.0, order) for _ in range(2))
    reactor._turn()
    [served] = order
    other = second if served is first else first
    other.close()
    reactor._turn()
    assert order[1:] == [served]
    served.close()
    reactor.close()


@on_loop
async def test_loop_has_its_turn_while_more_is_ready_than_fits_into_one() -> None:
    """Timers, other processes and the console are served by the loop."""
    reactor, ran = Reactor(asyncio.get_running_loop(), Limits(turn_s=0.0)), list[int]()
    pairs = [Pair(reactor) for _ in range(20)]
    for pair in pairs:
        pair.theirs.sendall(b"x")
    while not all(pair.served for pair in pairs):
        await asyncio.sleep(0)
        ran.append(sum(pair.served for pair in pairs))
    assert ran[0] < len(pairs)
    for pair in pairs:
        pair.close()
    reactor.close()
