"""Records that wait are bounded, and those left out are counted."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.records.record_buffer import RecordBuffer
from support.recording import record


@pytest.mark.parametrize(("made", "kept", "left_out"), [(2, 2, 0), (3, 2, 1)])
def test_records_above_the_bound_are_counted(made: int, kept: int, left_out: int) -> None:
    buffer = RecordBuffer(2)
    for number in range(made):
        buffer.add(record(id=str(number)))
    assert (len(buffer), buffer.left_out) == (kept, left_out)
    assert [one.id for one in buffer.take()] == ["0", "1"]
    assert not buffer.take()


def test_batch_that_was_not_written_comes_before_newer_records() -> None:
    buffer = RecordBuffer(2)
    buffer.add(record(id="0"))
    batch = buffer.take()
    buffer.add(record(id="1"))
    buffer.add(record(id="2"))
    buffer.put_back(batch)
    assert buffer.left_out == 1
    assert [one.id for one in buffer.take()] == ["0", "1"]
