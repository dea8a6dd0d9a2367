"""The journal: what was written is read after a crash, on a disk that was full, and after a rotation."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from sipmesh.pki.file_error import FileError
from sipmesh.storage.call_records.journal import (
    DAY_S,
    FILES,
    FOLDER,
    Journal,
    found_in,
    journals,
    servers_with_journals,
)
from support.full_disk import limited_to
from support.recording import entry, up_entry


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / FOLDER, "fe1.example.test")
    assert not journal.open()
    return journal


def test_records_are_read_in_their_order(journal: Journal, tmp_path: Path) -> None:
    journal.append([entry(id="a"), entry(id="b")])
    journal.append([entry(id="c")])
    assert [one.id for one in journal.everything()] == ["a", "b", "c"]
    assert journal.file(1).stat().st_mode & 0o777 == 0o600
    assert servers_with_journals(tmp_path) == ["fe1.example.test"]


def test_call_that_was_up_at_a_crash_is_known_afterwards(journal: Journal, tmp_path: Path) -> None:
    journal.append([up_entry(id="a"), up_entry(id="b"), entry(id="a")])
    again = Journal(tmp_path / FOLDER, "fe1.example.test")
    assert [one.id for one in again.open()] == ["b"]


def test_line_that_a_crash_has_cut_is_removed(journal: Journal, tmp_path: Path) -> None:
    journal.append([entry(id="a")])
    with journal.file(1).open("ab") as opened:
        opened.write(b'{"id":"half')
    again = Journal(tmp_path / FOLDER, "fe1.example.test")
    again.open()
    again.append([entry(id="b")])
    assert [one.id for one in again.everything()] == ["a", "b"]


def test_nothing_of_a_batch_is_kept_that_the_disk_had_no_room_for(journal: Journal) -> None:
    journal.append([entry(id="a")])
    with limited_to(journal.file(1).stat().st_size + 100), pytest.raises(FileError, match="cannot be written"):
        journal.append([entry(id="b"), entry(id="c")])
    assert [one.id for one in journal.everything()] == ["a"]
    journal.append([entry(id="b"), entry(id="c")])
    assert [one.id for one in journal.everything()] == ["a", "b", "c"]


def test_new_file_begins_with_the_calls_that_are_up(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1.example.test", most_octets=FILES * 2_000)
    journal.append([up_entry(id="a")])
    for number in range(20):
        journal.append([entry(id=str(number))])
    assert len(journal.numbers()) > 1
    assert next(iter(journal.records(journal.numbers()[-1]))).id == "a"


@pytest.mark.parametrize("batches", [FILES, FILES + 1])
def test_oldest_file_is_removed_at_the_bound(tmp_path: Path, batches: int) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1.example.test", most_octets=FILES)
    for number in range(batches):
        journal.append([entry(id=str(number))])
    assert len(journal.numbers()) == FILES
    assert journal.numbers()[-1] == batches


@pytest.mark.parametrize(("age_s", "kept"), [(50, 2), (150, 1)])
def test_file_whose_records_are_too_old_is_removed(tmp_path: Path, age_s: float, kept: int) -> None:
    journal = Journal(tmp_path / FOLDER, "fe1.example.test", most_octets=FILES)
    journal.append([entry(id="a")])
    journal.append([entry(id="b")])
    old = journal.file(1).stat().st_mtime - age_s
    os.utime(journal.file(1), (old, old))
    journal.remove_older(100)
    assert len(journal.numbers()) == kept


@pytest.mark.parametrize(("age_s", "files"), [(DAY_S - 60, 1), (DAY_S + 60, 2)])
def test_file_is_used_for_a_day(tmp_path: Path, age_s: float, files: int) -> None:
    clock = count(1_000_000_000.0, age_s)
    journal = Journal(tmp_path / FOLDER, "fe1.example.test", clock=lambda: next(clock))
    for name in ("a", "b"):
        journal.append([entry(id=name)])
    assert len(journal.numbers()) == files


def test_journals_of_workers_belong_to_their_server(tmp_path: Path) -> None:
    for process in ("fe1.test.w1", "fe1.test.w2", "fe1.test", "fe1.tester"):
        Journal(tmp_path / FOLDER, process).open()
        Journal(tmp_path / FOLDER, process).append([entry(id=process)])
    assert [one.process for one in journals(tmp_path, "fe1.test")] == ["fe1.test", "fe1.test.w1", "fe1.test.w2"]
    assert servers_with_journals(tmp_path) == ["fe1.test", "fe1.tester"]
    assert sorted(found_in(tmp_path, ["fe1.test"])) == ["fe1.test", "fe1.test.w1", "fe1.test.w2"]


def test_user_is_erased_from_all_files_and_other_users_are_not(tmp_path: Path) -> None:
    """Each line keeps its length, so that a process may go on to write, and a reader to read."""
    journal = Journal(tmp_path / FOLDER, "fe1", most_octets=FILES)
    journal.append([entry(id="a", why="the link of Bob@example.test has closed")])
    journal.append([entry(id="b", caller="jimbob@example.test", callee="bob@example.test.org", answered_by="")])
    sizes = [journal.file(number).stat().st_size for number in journal.numbers()]
    assert journal.erase(["bob@example.test"]) == 1
    assert [journal.file(number).stat().st_size for number in journal.numbers()] == sizes
    first, second = journal.everything()
    stars = "*" * len("bob@example.test")
    assert (first.callee, first.answered_by, first.caller) == (stars, stars, "alice@example.test")
    assert first.why == f"the link of {stars} has closed"
    assert (second.caller, second.callee) == ("jimbob@example.test", "bob@example.test.org")


def test_file_that_an_operator_has_removed_is_begun_again(journal: Journal) -> None:
    journal.append([up_entry(id="a"), entry(id="b")])
    journal.file(1).unlink()
    journal.append([entry(id="c")])
    assert [one.id for one in journal.everything()] == ["a", "c"]
