"""The thread in front of the stored messages: results on the loop, faults that are logged once, and its bounds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sql

from sipmesh.database.connection import SQLITE_FILE
from sipmesh.errors import OperatorError
from sipmesh.storage.message_queue import MOST_IN_BATCH, MessageQueue
from sipmesh.storage.messages import Work, expire, forget_users

PATIENCE_S = 10.0


def one(db: sql.Connection) -> int:
    return int(db.exec_driver_sql("SELECT 1").scalar_one())


class Loop:
    """Plays the event loop of one queue."""

    def __init__(self, url: str | Path, most_waiting: int = 100) -> None:
        self.calls: list[Callable[[], None]] = []
        self.told: list[str] = []
        self.queue = MessageQueue(url, self.calls.append, most_waiting)

    def store_failing(self, problem: OperatorError) -> None:
        self.told.append(f"failing: {problem}")

    def store_working(self) -> None:
        self.told.append("working")

    def turn(self) -> None:
        """Do what the thread has asked for, until nothing waits."""
        ends = time.monotonic() + PATIENCE_S
        while self.queue.waiting or self.calls:
            assert time.monotonic() < ends
            while self.calls:
                self.calls.pop(0)()

    def do(self, *works: Work[int]) -> list[int | None]:
        results: list[int | None] = []
        for work in works:
            self.queue.submit(work, results.append)
        self.turn()
        return results


@pytest.fixture(name="loop")
def _loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "messages.db", most_waiting=2 * MOST_IN_BATCH)
    loop.queue.begin(loop)
    yield loop
    loop.queue.close()


def test_results_come_in_the_order_of_the_work(loop: Loop) -> None:
    assert loop.do(one, lambda _: 2, lambda _: 3) == [1, 2, 3]
    assert loop.told == []


def test_database_is_opened_with_the_first_work_only(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "messages.db")
    loop.queue.begin(loop)
    assert not (tmp_path / "messages.db").exists()
    loop.do(one)
    assert (tmp_path / "messages.db").stat().st_mode & 0o777 == 0o600
    loop.queue.close()


def test_fault_is_reported_once_and_its_end_too(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    loop = Loop(folder / "messages.db")
    loop.queue.begin(loop)
    assert loop.do(one) == loop.do(one) == [None]
    folder.mkdir()
    assert loop.do(one) == [1]
    assert [text.partition(":")[0] for text in loop.told] == ["failing", "working"]
    loop.queue.close()


def test_fault_in_one_transaction_fails_all_of_it_and_nothing_after_it(loop: Loop) -> None:
    def broken(db: sql.Connection) -> int:
        return int(db.exec_driver_sql("SELECT no_such_column").scalar_one())

    assert loop.do(broken) == [None]
    assert loop.do(one) == [1]


def test_work_beyond_the_bound_is_refused_at_once(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "messages.db", most_waiting=1)
    results: list[int | None] = []
    loop.queue.submit(lambda _: 1, results.append)
    assert results == [None], "before it has begun"
    loop.queue.begin(loop)
    loop.queue.submit(lambda _: 1, results.append)
    loop.queue.submit(lambda _: 2, results.append)
    assert results == [None, None]
    loop.turn()
    assert results == [None, None, 1]
    loop.queue.close()


def test_withdrawn_work_is_not_done(loop: Loop) -> None:
    done: list[int] = []
    is_withdrawn = Event()
    loop.queue.submit(lambda _: is_withdrawn.wait(PATIENCE_S), lambda _: None)
    withdrawn = loop.queue.submit(lambda _: done.append(1), lambda _: None)
    withdrawn.withdrawn = True
    is_withdrawn.set()
    loop.turn()
    assert done == []


def test_work_that_is_later_waits_for_all_other_work_and_keeps_its_order(loop: Loop) -> None:
    """Entries of message histories are later: a flood of one sender is not ahead of the stored messages of others."""
    order, is_working, begun = list[int](), Event(), Event()

    def first(_: sql.Connection) -> None:
        is_working.set()
        begun.wait(PATIENCE_S)

    loop.queue.submit(first)
    assert is_working.wait(PATIENCE_S)
    for number in range(MOST_IN_BATCH):
        loop.queue.submit(lambda _, number=number: order.append(number), is_later=True)  # type: ignore[misc]
    loop.queue.submit(lambda _: order.append(-1))
    begun.set()
    loop.turn()
    assert order == [-1, *range(MOST_IN_BATCH)]


def test_end_does_also_what_is_later_and_leaves_no_gap(loop: Loop) -> None:
    for _ in range(2 * MOST_IN_BATCH):
        loop.queue.submit(one, is_later=True)
    loop.queue.close()
    assert loop.queue.waiting == 2 * MOST_IN_BATCH
    loop.turn()


FLOOD = """
import sys, threading
from sipmesh.storage.message_cipher import HistoryCipher
from sipmesh.storage.message_history import NewEntry, keep
from sipmesh.storage.message_queue import MessageQueue
cipher = HistoryCipher("pool1", b"k" * 32).of("sip:bob@example.test", 5)
calls, ends, kept, lost, number, told = [], threading.Event(), 0, 0, 0, False
queue = MessageQueue(sys.argv[1], calls.append)
queue.begin(None)
def done(is_new):
    global kept, lost
    kept, lost = kept + (is_new is True), lost + (is_new is None)
threading.Thread(target=lambda: (sys.stdin.read(), ends.set()), daemon=True).start()
while not ends.is_set() or queue.waiting:
    while not ends.is_set() and queue.waiting < 1_000:
        key = cipher.key(b"%s %d" % (sys.argv[2].encode(), number), is_mine=False)
        entry = NewEntry(key, cipher.conversation("alice@example.test"), cipher.source("alice@example.test"), b"x" * 1_000)
        queue.submit(keep(cipher, entry), done, is_later=True)
        number += 1
    while calls:
        calls.pop(0)()
    if kept and not told:
        told = print("floods", flush=True) or True
    ends.wait(0.01)
queue.close()
print("ended", kept, lost)
"""


@pytest.mark.wide
def test_processes_that_flood_one_file_with_histories_refuse_no_stored_message_of_another(
    loop: Loop, tmp_path: Path
) -> None:
    """Two of three had the file by turns, each again before the third asked for it: after 5 s all of the third failed.

    None of the three loses anything.
    """
    assert loop.do(one) == [1]
    paths = os.pathsep.join(filter(None, sys.path))
    with ExitStack() as stack:
        floods = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", FLOOD, f"{SQLITE_FILE}{tmp_path}/messages.db", str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": paths},
                    text=True,
                )
            )
            for number in range(2)
        ]
        for flood in floods:
            assert flood.stdout is not None
            assert flood.stdout.readline() == "floods\n"
        assert [loop.do(forget_users([])) for _ in range(20)] == [[0]] * 20
        assert loop.told == []
        for flood in floods:
            *_, ended = flood.communicate("")[0].split("\n")[:-1]
            word, kept, lost = ended.split()
            assert (word, int(kept) > 0, int(lost)) == ("ended", True, 0)


def test_end_does_what_was_submitted(loop: Loop) -> None:
    results: list[int | None] = []
    loop.queue.submit(lambda _: 7, results.append)
    loop.queue.close()
    loop.turn()
    assert results == [7]
    loop.queue.submit(lambda _: 8, results.append)
    assert results == [7, None]


def test_work_that_only_reads_does_not_wait_for_a_writer(loop: Loop, tmp_path: Path) -> None:
    loop.do(one)
    with closing(sqlite3.connect(tmp_path / "messages.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results: list[int | None] = []
        loop.queue.submit(one, results.append, only_reads=True)
        loop.turn()
        assert results == [1]


def test_nothing_that_only_looks_makes_the_database_of_a_server_that_has_stored_no_message(tmp_path: Path) -> None:
    """A server without stored messages does not load a database. The control: the same work counts once there is one."""
    loop = Loop(f"sqlite:///{tmp_path / 'messages.db'}")
    loop.queue.begin(loop)
    assert loop.do(expire(), forget_users(["sip:bob@example.test"])) == [0, 0]
    assert not (tmp_path / "messages.db").exists()
    assert loop.do(expire(), one) == [0, 1]
    assert (tmp_path / "messages.db").exists()
    loop.queue.close()
