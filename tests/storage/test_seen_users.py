"""What a host has seen of the database of users, across its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.storage.seen_users import FILE, SeenUsers

NOTHING = dict[int, str]()
CHANGES = {7: "sip:alice@example.test", 8: "sip:bob@example.test"}


def test_database_with_a_lower_number_than_was_seen_is_older(tmp_path: Path) -> None:
    SeenUsers(tmp_path).saw(8, CHANGES.get)
    other = SeenUsers(tmp_path)  # of another process
    assert not other.why_older(8, CHANGES.get)
    assert not other.why_older(9, CHANGES.get)
    assert "its number is 7, and 8 was seen here" in other.why_older(7, CHANGES.get)


def test_database_that_used_a_number_again_for_another_user_has_another_history(tmp_path: Path) -> None:
    seen = SeenUsers(tmp_path)
    seen.saw(8, CHANGES.get)
    assert "another history" in seen.why_older(9, {**CHANGES, 8: "sip:carol@example.test"}.get)


def test_number_that_is_of_no_user_is_followed_by_a_jump_and_not_by_a_user(tmp_path: Path) -> None:
    """A restore lets the number jump: the changes before it are not known, and servers get all users."""
    seen = SeenUsers(tmp_path)
    seen.saw(8, CHANGES.get)
    assert not seen.why_older(1_008, NOTHING.get)
    seen.saw(1_008, NOTHING.get)
    assert not seen.why_older(1_009, {1_009: "sip:bob@example.test"}.get)
    assert seen.why_older(1_009, {1_008: "sip:bob@example.test"}.get)


def test_lower_number_is_not_remembered_unless_an_operator_goes_on_from_it(tmp_path: Path) -> None:
    seen = SeenUsers(tmp_path)
    seen.saw(8, CHANGES.get)
    seen.saw(7, CHANGES.get)
    assert seen.why_older(7, CHANGES.get)
    seen.accept(5)
    assert not SeenUsers(tmp_path).why_older(7, CHANGES.get)


@pytest.mark.parametrize("content", [b"", b"x y\n", b"\xff\n"])
def test_unreadable_file_says_nothing_and_is_written_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(content)
    seen = SeenUsers(tmp_path)
    assert not seen.why_older(1, CHANGES.get)
    seen.saw(8, CHANGES.get)
    assert (tmp_path / FILE).read_bytes() == b"8 sip:bob@example.test\n"


def test_process_remembers_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    seen = SeenUsers(tmp_path)
    seen.saw(8, CHANGES.get)
    assert seen.why_older(7, CHANGES.get)
