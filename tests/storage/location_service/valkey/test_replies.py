"""Replies are read by their shape; anything else ends the connection."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey.connection import MalformedReplyError
from sipmesh.storage.location_service.valkey.replies import ignored, joined_of, pairs_of, run_id_of

RUN, IDENTITY = b"a" * 40, b"1" * 32


def test_run_id_is_found_among_the_lines_of_info() -> None:
    assert run_id_of(b"# Server\r\nredis_version:7.2\r\nrun_id:" + RUN + b"\r\nuptime:1\r\n") == RUN.decode()


@pytest.mark.parametrize("reply", [None, 1, b"", b"run_id:" + RUN[1:], b"run_id:" + RUN.upper()])
def test_info_without_a_run_id_does_not_fit(reply: object) -> None:
    with pytest.raises(MalformedReplyError, match="run_id"):
        run_id_of(reply)


def test_entry_identity_and_age_are_read_from_the_reply_to_a_join() -> None:
    assert joined_of([b"entry", IDENTITY, 12]) == (b"entry", IDENTITY.decode(), 12.0)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [b"entry", IDENTITY],
        [b"entry", IDENTITY[1:], 12],
        [b"entry", IDENTITY + b"1", 12],
        [b"entry", b" " * 32, 12],
        [b"entry", IDENTITY, b"12"],
        [None, IDENTITY, 12],
    ],
)
def test_other_reply_to_a_join_does_not_fit(reply: object) -> None:
    with pytest.raises(MalformedReplyError, match="identity"):
        joined_of(reply)


def test_names_and_values_follow_each_other() -> None:
    assert pairs_of([]) == {}
    assert pairs_of([b"a", b"1", b"b", b"2"]) == {b"a": b"1", b"b": b"2"}
    assert pairs_of([b"a", b"1", b"b"]) == {b"a": b"1"}


@pytest.mark.parametrize("reply", [None, b"a", {b"a": b"1"}, [b"a", 1], ConnectionError("gone")])
def test_other_names_and_values_do_not_fit(reply: object) -> None:
    with pytest.raises(MalformedReplyError, match="names and values"):
        pairs_of(reply)


def test_ignored_reply_does_nothing() -> None:
    ignored(ConnectionError("gone"))
