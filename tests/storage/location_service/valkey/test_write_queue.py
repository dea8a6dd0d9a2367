"""The order of writes, what is sent again, and the mark between them."""

from __future__ import annotations

from sipmesh.storage.location_service.locations import StoreHealth, Write, WriteResult
from sipmesh.storage.location_service.valkey.write_queue import MOST_IN_FLIGHT, WriteQueue
from storage.members import ALICE

RESULT = WriteResult(frozenset(), 1, 1)


class Queue:
    """A queue, and the results of its writers."""

    def __init__(self, writes: int) -> None:
        self.health = StoreHealth()
        self.queue, self.told = WriteQueue(self.health), list[WriteResult | None]()
        self.writes = [Write(ALICE, (), (), self.told.append) for _ in range(writes)]
        for write in self.writes:
            self.queue.add(write)


def test_batch_has_a_bound_and_the_next_one_comes_after_it() -> None:
    one = Queue(MOST_IN_FLIGHT + 1)
    assert one.queue.next_batch() == one.writes[:MOST_IN_FLIGHT]
    for write in one.writes[:MOST_IN_FLIGHT]:
        one.queue.made(write)
        one.queue.end(write, RESULT)
    assert one.health.waiting == len(one.queue) == 1
    assert one.queue.next_batch() == one.writes[MOST_IN_FLIGHT:]


def test_what_was_sent_and_not_made_is_sent_again_in_its_order() -> None:
    one = Queue(3)
    one.queue.next_batch()
    one.queue.send_again()
    one.queue.made(one.writes[1])  # its reply has come after that of a failed write
    assert one.queue.next_batch() == [one.writes[0], one.writes[2]]


def test_write_that_was_withdrawn_is_not_sent() -> None:
    one = Queue(2)
    one.writes[0].withdrawn = True
    assert one.queue.next_batch() == one.writes[1:]
    assert one.told == [None]


def test_withdrawn_writes_end_while_nothing_can_be_sent() -> None:
    one = Queue(2)
    one.queue.mark()
    one.writes[1].withdrawn = True
    one.queue.withdraw()
    assert one.told == [None]
    assert one.queue.next_batch() == one.writes[:1]
    assert not one.queue.take_mark()


def test_mark_is_taken_when_all_before_it_were_made_and_not_sooner() -> None:
    one = Queue(1)
    one.queue.mark()
    later = Write(ALICE, (), (), one.told.append)
    one.queue.add(later)
    assert not one.queue.take_mark()
    assert one.queue.next_batch() == one.writes
    assert not one.queue.take_mark()
    one.queue.made(one.writes[0])
    assert one.queue.next_batch() == []
    assert one.queue.take_mark()
    assert one.queue.next_batch() == [later]


def test_marks_of_a_store_that_was_lost_are_forgotten() -> None:
    one = Queue(0)
    one.queue.mark()
    one.queue.forget_marks()
    assert not one.queue.take_mark()
