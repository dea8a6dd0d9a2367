"""What is delivered is read once, in order, over files and restarts; what was not confirmed is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.storage.call_records.journal import FILES, FOLDER, Journal
from sipmesh.storage.call_records.journal_reader import MOST_IN_BATCH, JournalReader
from support.recording import entry


def ids(reader: JournalReader) -> list[str]:
    """Read a batch without confirming it."""
    batch = reader.next()
    return [one.id for one in batch.records] if batch is not None else []


def read_all(journal: Journal) -> list[str]:
    """Read and confirm everything, each batch by another reader."""
    found: list[str] = []
    while (batch := JournalReader(journal).next()) is not None:
        found += [one.id for one in batch.records]
        JournalReader(journal).delivered(batch)
    return found


def test_batch_is_read_again_until_it_is_confirmed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1")
    journal.append([entry(id="a"), entry(id="b")])
    reader = JournalReader(journal)
    assert (ids(reader), ids(reader)) == (["a", "b"], ["a", "b"])
    batch = reader.next()
    assert batch is not None
    reader.delivered(batch)
    assert ids(reader) == []
    journal.append([entry(id="c")])
    assert ids(reader) == ["c"]


@pytest.mark.parametrize("count", [MOST_IN_BATCH, MOST_IN_BATCH + 1])
def test_batches_are_bounded(tmp_path: Path, count: int) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1")
    journal.append([entry(id=str(number)) for number in range(count)])
    assert len(ids(JournalReader(journal))) == MOST_IN_BATCH
    assert read_all(journal) == [str(number) for number in range(count)]


def test_reading_goes_on_over_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1", most_octets=FILES)
    for number in range(5):
        journal.append([entry(id=str(number))])
    assert len(journal.numbers()) == 5
    assert read_all(journal) == ["0", "1", "2", "3", "4"]


def test_files_that_are_gone_are_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1", most_octets=FILES)
    for number in range(3):
        journal.append([entry(id=str(number))])
    journal.file(1).unlink()
    assert read_all(journal) == ["1", "2"]


def test_line_that_is_not_whole_or_no_record_is_not_delivered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1")
    journal.append([entry(id="a")])
    with journal.file(1).open("ab") as opened:
        opened.write(b"rubbish\n" + b'{"id":"half"')
    assert read_all(journal) == ["a"]


def test_place_that_cannot_be_read_is_the_begin(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1")
    journal.append([entry(id="a")])
    assert read_all(journal) == ["a"]
    (tmp_path / FOLDER / "fe1.delivered").write_text("rubbish")
    assert read_all(journal) == ["a"]
