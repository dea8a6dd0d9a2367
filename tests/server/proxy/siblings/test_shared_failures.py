"""Failed logins at one process of a server, as the others count them, and one that starts later."""

from __future__ import annotations

import asyncio

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.authentication.backoff import Attempt
from sipmesh.server.proxy.siblings.channel import SUPERVISOR
from sipmesh.server.proxy.siblings.shared_failures import COUNTS_OF_FRAME
from support.running import on_loop, until
from support.siblings import ONE, TWO, Pair, pair_of

LATER = 3
"""The start of the process that replaces worker 2."""


def delay_s(pair: Pair, worker: int, user: str) -> float:
    """How long a login as *user* from this machine waits at *worker*."""
    attempt = Attempt("", "127.0.0.1", f"sip:{user}@example.test")
    return pair.nodes[worker].failures.delay_s(attempt, asyncio.get_running_loop().time())


@on_loop
async def test_worker_that_replaces_another_one_knows_the_failed_logins_of_before(example: Organisation) -> None:
    """Whoever had workers end had the free guesses again. Twin: another user does not wait, and the right password gets in."""
    async with pair_of(example, supervised=True) as pair:
        for _ in range(3):
            assert (await (await pair.peer("alice", TWO)).register(password="wrong")).status == 401
        await until(lambda: delay_s(pair, SUPERVISOR, "alice") == delay_s(pair, TWO, "alice") == 1.0)
        pair.siblings(ONE).close()
        await pair.replace(TWO, LATER)
        await until(lambda: delay_s(pair, TWO, "alice") == 1.0)
        assert delay_s(pair, TWO, "carol") == 0
        await pair.phone("carol", TWO)
        await pair.phone("alice", TWO)


@on_loop
async def test_more_counts_than_one_frame_holds_are_all_told(example: Organisation) -> None:
    async with pair_of(example, supervised=True) as pair:
        now = asyncio.get_running_loop().time()
        for number in range(2 * COUNTS_OF_FRAME):
            attempt = Attempt("1", f"192.0.2.{number % 250}", f"sip:u{number}@example.test")
            pair.nodes[SUPERVISOR].failures.failed(attempt, now)
        expected = {(count.key, count.failed) for count in pair.nodes[SUPERVISOR].failures.counts(now)}
        await pair.replace(TWO, LATER)
        failures = pair.nodes[TWO].failures
        await until(lambda: {(count.key, count.failed) for count in failures.counts(now)} == expected)


@on_loop
async def test_only_the_supervisor_tells_a_new_worker(example: Organisation) -> None:
    """With 64 workers, a new one would hear everything 64 times. The frames of one channel keep their order."""
    async with pair_of(example) as pair:
        pair.siblings(ONE).close()
        pair.nodes[ONE].failures.failed(
            Attempt("1", "192.0.2.1", "sip:alice@example.test"), asyncio.get_running_loop().time()
        )
        pair.connect()
        await pair.phone("bob", ONE)
        await until(lambda: bool(list(pair.siblings(TWO).links())))
        assert pair.nodes[TWO].failures.has_none
