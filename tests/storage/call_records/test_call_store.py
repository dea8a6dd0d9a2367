"""The database of records, in SQLite and PostgreSQL: once each, found, sent on, removed and erased."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from sipmesh.storage.call_records.call_query import CallQuery
from sipmesh.storage.call_records.call_store import ERASED, CallStore
from support.recording import record, up

BEGAN = record().start


@pytest.fixture(name="store")
def _store(url: str) -> Iterator[CallStore]:
    with closing(CallStore(url)) as store:
        yield store


def ids(store: CallStore, **query: object) -> list[str]:
    return [one.id for one in store.page(CallQuery(**query))[0]]  # type: ignore[arg-type]


def test_record_that_comes_twice_is_stored_once(store: CallStore) -> None:
    for _ in range(2):
        store.add([record(id="a"), record(id="a"), up(id="b"), record(id="b"), up(id="b")])
    found, has_more = store.page(CallQuery())
    assert ([(one.id, one.is_up) for one in found], has_more) == ([("b", False), ("a", False)], False)
    assert found[1] == record(id="a")


def test_call_that_has_ended_replaces_its_record_and_is_not_up_again(store: CallStore) -> None:
    store.add([up(id="a")])
    assert ids(store, up=True) == ["a"]
    store.add([record(id="a")])
    store.add([up(id="a")])
    assert not ids(store, up=True)
    assert ids(store) == ["a"]


def test_same_id_of_another_server_is_another_record(store: CallStore) -> None:
    store.add([record(id="a"), record(id="a", server="edge1.example.test")])
    assert len(ids(store)) == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"names": frozenset({"bob@example.test"})}, ["busy", "call"]),
        ({"names": frozenset({"other.test"})}, ["text"]),
        ({"names": frozenset({"sales@example.test"})}, ["call"]),
        ({"failed": True}, ["busy"]),
        ({"only": "MESSAGE"}, ["text"]),
        ({"call": "c9"}, ["text"]),
        ({"call": "busy"}, ["busy"]),
        ({"call": "C8-1"}, ["busy"]),
        ({"call": "c8-"}, []),
        ({"since": BEGAN + timedelta(hours=1)}, ["text", "busy"]),
        ({"until": BEGAN + timedelta(hours=1)}, ["call"]),
    ],
    ids=str,
)
def test_records_are_found(store: CallStore, query: dict[str, object], found: list[str]) -> None:
    store.add(
        [
            record(id="call", callee="Sales@example.test"),
            record(id="busy", start=BEGAN + timedelta(hours=1), status=486, answered_by="", reference="c8-1"),
            record(
                id="text",
                start=BEGAN + timedelta(hours=2),
                method="MESSAGE",
                callee="x@other.test",
                answered_by="",
                call_id="c9",
            ),
        ]
    )
    assert ids(store, **query) == found


def test_pages_follow_each_other(store: CallStore) -> None:
    store.add([record(id=f"{number}", start=BEGAN + timedelta(seconds=number // 2)) for number in range(7)])
    seen: list[str] = []
    while True:
        page, has_more = store.page(CallQuery(most=3, before=seen[-1] if seen else ""))
        seen += [one.id for one in page]
        if not has_more:
            break
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


def test_sink_gets_each_complete_record_and_goes_on_after_it(store: CallStore) -> None:
    store.add([up(id="a"), record(id="b")])
    batch, number = store.after("hook", 10)
    assert [one.id for one in batch] == ["b"]
    assert [one.id for one in store.after("hook", 10)[0]] == ["b"]  # it was not confirmed
    store.have_had("hook", number)
    store.add([record(id="a")])
    batch, number = store.after("hook", 10)
    assert [one.id for one in batch] == ["a"]
    store.have_had("hook", number)
    assert store.after("hook", 10)[0] == []
    assert [one.id for one in store.after("syslog", 1)[0]] == ["b"]


def test_records_are_removed_by_their_age(store: CallStore) -> None:
    store.add([record(id="old"), record(id="new", start=BEGAN + timedelta(days=1)), up(id="up")])
    assert store.remove_before(BEGAN + timedelta(microseconds=1)) == 2
    assert ids(store) == ["new"]


@pytest.mark.parametrize("typed", ["c8-1", "C8-1"])
def test_refusals_of_all_servers_are_found_by_their_reference_and_no_other_text_is(
    store: CallStore, typed: str
) -> None:
    """Each server counts for itself. A caller may write what he likes, and a pattern finds no more than a text."""
    refused = {"status": 488, "reference": "c8-1"}
    store.add(
        [
            record(id="a", **refused),
            record(id="a", server="edge1.example.test", **refused),
            record(id="longer", status=488, reference="c8-10"),
            record(id="liar", status=486, why='","reference":"c8-1","', callee='"reference":"c8-1"@example.test'),
        ]
    )
    assert ids(store, call=typed) == ["a", "a"]
    for pattern in ("c8-_", "c%", '","', "\\"):
        assert ids(store, call=pattern) == []


def test_user_is_erased_from_all_records_and_the_other_party_is_not(store: CallStore) -> None:
    store.add(
        [
            record(id="a"),
            record(id="b", caller="Bob@example.test", callee="carol@example.test", answered_by=""),
            record(id="c", caller="carol@example.test", callee="dora@example.test", answered_by=""),
            record(
                id="d",
                caller="jimbob@example.test",
                callee="bob@example.test.org",
                answered_by="",
                forwarded="Bob@example.test: busy",
            ),
        ]
    )
    assert store.erase(["BOB@example.test"]) == 3
    found = {one.id: one for one in store.page(CallQuery())[0]}
    assert (found["a"].caller, found["a"].callee, found["a"].answered_by) == ("alice@example.test", ERASED, ERASED)
    assert (found["b"].caller, found["b"].callee) == (ERASED, "carol@example.test")
    assert found["c"].caller == "carol@example.test"
    others = (found["d"].caller, found["d"].callee, found["d"].forwarded)
    assert others == ("jimbob@example.test", "bob@example.test.org", f"{ERASED}: busy")
    assert not ids(store, names=frozenset({"bob@example.test"}))


def test_call_has_the_reports_of_its_parties(store: CallStore) -> None:
    store.add(
        [
            record(id="a", call_id="q1"),
            record(id="r1", call_id="q1", method="PUBLISH", caller="Bob@example.test", callee="", why="MOSLQ=4.2"),
            record(id="r2", call_id="q1", method="PUBLISH", caller="carol@example.test", callee="", why="MOSLQ=1.0"),
        ]
    )
    (found,), _ = store.page(CallQuery())
    assert (found.id, found.quality) == ("a", "Bob@example.test: MOSLQ=4.2")
