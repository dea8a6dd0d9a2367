"""Records that wait are bounded, and those left out are counted."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.record_buffer import RecordBuffer
from support.recording import entry, up_entry

FE = "fe1.example.test"


@pytest.mark.parametrize(("made", "kept", "left_out"), [(2, 2, 0), (3, 2, 1)])
def test_records_above_the_bound_are_counted(made: int, kept: int, left_out: int) -> None:
    buffer = RecordBuffer(2)
    for number in range(made):
        buffer.add(entry(id=str(number)))
    assert (len(buffer), buffer.left_out) == (kept, left_out)
    assert [one.key for one in buffer.take()] == [f"{FE} 0", f"{FE} 1"]
    assert not buffer.take()


def test_batch_that_was_not_written_comes_before_newer_records() -> None:
    buffer = RecordBuffer(2)
    buffer.add(entry(id="0"))
    batch = buffer.take()
    buffer.add(entry(id="1"))
    buffer.add(entry(id="2"))
    buffer.put_back(batch)
    assert buffer.left_out == 1
    assert [one.key for one in buffer.take()] == [f"{FE} 0", f"{FE} 1"]


def test_end_of_a_call_takes_the_place_of_its_line_while_it_was_up() -> None:
    buffer = RecordBuffer(1)
    buffer.add(up_entry(id="0"))
    buffer.add(entry(id="0"))
    assert buffer.left_out == 0
    batch = buffer.take()
    assert [one.is_up for one in batch] == [False]
    buffer.add(up_entry(id="1"))
    batch = buffer.take()
    buffer.add(entry(id="1"))
    buffer.put_back(batch)
    assert [one.is_up for one in buffer.take()] == [False]


def test_server_cannot_replace_a_record_of_another_server() -> None:
    buffer = RecordBuffer()
    buffer.add(entry(id="0"))
    buffer.add(entry(id="0", server="edge1.example.test"))
    assert len(buffer.take()) == 2
