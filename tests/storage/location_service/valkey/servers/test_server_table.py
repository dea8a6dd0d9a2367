"""When the store proves that a user is not registered, at each threshold and one step past it."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey.servers.server_table import (
    REJOINED_WITHIN_S,
    KnownServer,
    ServerTable,
    read_entry,
)
from storage.members import FE1, FE2

FE3 = "fe3.example.test"
RUN, OTHER_RUN = "a" * 40, "b" * 40
NOW = 1_000.0
KEY, OTHER_KEY = "0a" * 4, "0b" * 4


def table(entry: str = "", age_s: float = 1_000.0) -> ServerTable:
    """What fe1 knows of fe2, in a store of that age."""
    made = ServerTable(FE1, frozenset({FE1, FE2}))
    made.joined(RUN, age_s, NOW)
    made.replace({FE2.encode(): f"{entry} {KEY} 0".encode()} if entry else {})
    return made


@pytest.mark.parametrize(
    ("entry", "complete"),
    [(f"3 {RUN} 1", True), (f"3 {RUN} 0", False), (f"3 {OTHER_RUN} 1", False), ("", True), ("nonsense", True)],
)
def test_rows_are_complete_if_each_server_has_joined_this_process_of_the_store(entry: str, *, complete: bool) -> None:
    """A server without an entry has ended in an old store."""
    assert table(entry).is_complete(NOW, KEY) is complete


@pytest.mark.parametrize("entry", [f"3 {RUN} 0", f"3 {OTHER_RUN} 1"])
def test_server_that_does_not_store_its_rows_again_is_gone_after_half_a_minute(entry: str) -> None:
    assert not table(entry).is_complete(NOW + REJOINED_WITHIN_S - 0.1, KEY)
    assert table(entry).is_complete(NOW + REJOINED_WITHIN_S, KEY)


@pytest.mark.parametrize(("age_s", "missing_s"), [(0.0, REJOINED_WITHIN_S), (10.0, 20.0), (40.0, 0.0), (-5.0, 30.0)])
def test_server_without_an_entry_may_come_while_the_store_is_young(age_s: float, missing_s: float) -> None:
    young = table(age_s=age_s)
    assert young.is_complete(NOW + missing_s, KEY)
    if missing_s:
        assert not young.is_complete(NOW + missing_s - 0.1, KEY)


def test_rows_count_under_the_incarnation_that_their_server_has_now() -> None:
    known = table(f"3 {RUN} 1")
    assert known.is_live(FE2, 3)
    assert not known.is_live(FE2, 2)
    assert not known.is_live("fe9.example.test", 3)
    assert known.incarnations() == {FE2: 3}


def test_names_that_are_no_server_of_the_pool_are_not_read() -> None:
    known = table()
    known.replace({b"evil.test": entry(9), FE1.encode(): entry(9), b"\xff": b""})
    known.replace({f"{FE2}#".encode(): entry(9), f"{FE2}#1#2".encode(): entry(9), f"{FE2}#123".encode(): entry(9)})
    assert known.incarnations() == {}


def entry(incarnation: int, *, complete: int = 1, key: str = KEY, workers: int = 0) -> bytes:
    """The entry of a process."""
    return f"{incarnation} {RUN} {complete} {key} {workers}".encode()


def test_server_with_workers_is_complete_once_all_of_them_are() -> None:
    """How many there are is in the entry of each."""
    made = ServerTable(FE1, frozenset({FE1, FE2}))
    made.joined(RUN, 0.0, NOW)
    first, second = f"{FE2}#1".encode(), f"{FE2}#2".encode()
    made.replace({first: entry(3, workers=2)})
    assert not made.is_complete(NOW, KEY)
    made.replace({first: entry(3, workers=2), second: entry(4, complete=0, workers=2)})
    assert not made.is_complete(NOW, KEY)
    made.replace({first: entry(3, workers=2), second: entry(4, workers=2)})
    assert made.is_complete(NOW, KEY)
    assert made.is_live(f"{FE2}#2", 4)
    assert made.incarnations() == {f"{FE2}#1": 3, f"{FE2}#2": 4}


def test_other_workers_of_our_own_server_are_awaited_too() -> None:
    made = ServerTable(f"{FE1}#1", frozenset({FE1}), 2)
    made.joined(RUN, 0.0, NOW)
    assert not made.is_complete(NOW, KEY)
    made.replace({f"{FE1}#2".encode(): entry(4, workers=2), f"{FE1}#1".encode(): entry(9, complete=0, workers=2)})
    assert made.is_complete(NOW, KEY)


def test_server_with_another_key_of_the_pool_is_never_complete() -> None:
    """Its rows cannot be read here, so its users are not said to be away."""
    made = table()
    made.replace({FE2.encode(): entry(3, key=OTHER_KEY)})
    assert made.other_keys(KEY) == [FE2]
    assert not made.is_complete(NOW + 2 * REJOINED_WITHIN_S, KEY)
    made.replace({FE2.encode(): entry(3)})
    assert made.is_complete(NOW + 2 * REJOINED_WITHIN_S, KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        b"",
        b"3",
        b"3 1",
        f"3 {RUN} 1".encode(),
        f"-3 {RUN} 1 {KEY} 0".encode(),
        f"3 {RUN} 2 {KEY} 0".encode(),
        f"3 {RUN} 1 {KEY}0 0".encode(),
        f"3 {RUN} 1 {KEY} 100".encode(),
        f"{'9' * 17} {RUN} 1 {KEY} 0".encode(),
    ],
)
def test_entry_that_does_not_fit_is_none(wrong: object) -> None:
    assert read_entry(wrong) is None
    assert read_entry(entry(3)) == KnownServer(3, RUN, complete=True, key=KEY, workers=0)


def test_entry_of_a_server_counts_as_long_as_the_pool_has_the_server() -> None:
    """The entry of a server that is added has to be read again; that of a removed server is forgotten at once."""
    entries = {name.encode(): f"3 {RUN} 1 {KEY} 0".encode() for name in (FE2, FE3)}
    made = table()
    made.replace(entries)
    assert (made.is_live(FE2, 3), made.is_live(FE3, 3)) == (True, False)
    made.use_servers(frozenset({FE1, FE3}))
    assert (made.is_live(FE2, 3), made.is_live(FE3, 3)) == (False, False)
    made.replace(entries)
    assert (made.is_live(FE2, 3), made.is_live(FE3, 3)) == (False, True)
