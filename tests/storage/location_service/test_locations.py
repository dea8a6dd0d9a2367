"""What the servers of a pool rely on, in each kind of store: each store has to pass these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.storage.location_service.locations import NOTHING_YET, Write, WriteResult
from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from storage.members import ALICE, BOB, ELSEWHERE, FE1, FE2, PHONE, Make, Member
from storage.valkey_members import valkey_members
from support.memory_locations import MemoryLocations, MemoryStore

Begin = Callable[[str, int], Member]


def _sqlite(folder: Path) -> Make:
    return lambda post: SqliteLocations(folder / "bindings.db", post)


def _memory(_folder: Path) -> Make:
    store = MemoryStore()
    return lambda post: MemoryLocations(store, post)


@pytest.fixture(name="begin", params=[_sqlite, _memory, pytest.param(None, marks=pytest.mark.peer("valkey"))])
def _begin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begin]:
    """Begin an incarnation of a server; all of them share one store: SQLite, memory, Valkey."""
    if request.param is None:
        with valkey_members(request.getfixturevalue("valkey")) as there:
            yield there
        return
    make, members = request.param(tmp_path), list[Member]()

    def begin(server: str, incarnation: int) -> Member:
        members.append(Member(make, server, incarnation))
        return members[-1]

    yield begin
    for member in members:
        member.locations.close()


@pytest.fixture(name="fe1")
def _fe1(begin: Begin) -> Member:
    return begin(FE1, 7)


@pytest.fixture(name="fe2")
def _fe2(begin: Begin) -> Member:
    return begin(FE2, 3)


def test_row_comes_back_as_it_went_in_but_for_its_end(fe1: Member) -> None:
    """When it ends is the business of the server that has its link."""
    fe1.write([replace(PHONE, expires_at=17.0)])
    assert fe1.rows() == [PHONE]


def test_what_one_server_has_written_the_others_see_when_it_is_reported(fe1: Member, fe2: Member) -> None:
    assert fe2.rows() == []
    before = fe2.version()
    fe1.write([PHONE])
    assert fe2.version() != before
    assert fe2.rows() == [PHONE]


def test_version_stays_while_the_rows_do_not_change(fe1: Member, fe2: Member) -> None:
    fe1.write([PHONE])
    version = fe2.found().version
    assert version == fe2.version()
    fe2.write([replace(ELSEWHERE, aor=BOB)])
    assert fe2.version() == version
    fe1.write(drop=[PHONE])
    assert fe2.version() != version


def test_user_who_never_had_a_row_needs_no_lookup_where_news_is_never_late(fe1: Member) -> None:
    if not fe1.locations.knows_absence:
        assert fe1.version() != NOTHING_YET
        return
    assert fe1.version() == NOTHING_YET
    fe1.write([PHONE])
    fe1.write(drop=[PHONE])
    assert fe1.version() != NOTHING_YET


def test_writer_learns_the_versions_before_and_after_its_change(fe1: Member, fe2: Member) -> None:
    """So it knows whether another server has written meanwhile, without reading its own rows again."""
    before = fe1.found().version
    made = fe1.write([PHONE])
    assert made == WriteResult(frozenset(), before, fe1.version())
    fe2.write([ELSEWHERE])
    between = fe1.version()
    again = fe1.write(drop=[ELSEWHERE])
    assert again == WriteResult(frozenset(), between, fe1.version())
    assert made is not None
    assert made.after != between


def test_same_device_at_another_server_replaces_its_row(fe1: Member, fe2: Member) -> None:
    fe1.write([PHONE])
    fe2.write([ELSEWHERE])
    assert fe1.rows() == [ELSEWHERE]


@pytest.mark.parametrize(("cseq", "call_id", "stays"), [(1, "one", FE1), (2, "one", FE2), (1, "two", FE2)])
def test_under_one_call_id_the_higher_cseq_stays(fe1: Member, fe2: Member, cseq: int, call_id: str, stays: str) -> None:
    """Two servers may decide at the same time; what was sent last is what counts (RFC 3261 section 10.3 step 7)."""
    fe1.write([PHONE])
    later = replace(ELSEWHERE, cseq=cseq, call_id=call_id)
    made = fe2.write([later])
    assert made is not None
    assert made.lost == (frozenset({later.key}) if stays == FE1 else frozenset())
    assert fe1.rows() == [PHONE if stays == FE1 else later]


@pytest.mark.parametrize(("token", "left"), [("token", 0), ("another", 1)])
def test_row_is_dropped_as_it_was_seen_and_not_if_it_was_renewed(fe1: Member, token: str, left: int) -> None:
    fe1.write([replace(PHONE, token=token)])
    fe1.write(drop=[PHONE])
    assert len(fe1.rows()) == left


def test_row_that_is_stored_again_gives_way_to_what_has_taken_its_place(fe1: Member, fe2: Member) -> None:
    fe2.write([ELSEWHERE])
    made = fe1.write([replace(PHONE, cseq=9)], restores=True)
    assert made is not None
    assert made.lost == {PHONE.key}
    assert fe1.rows() == [ELSEWHERE]
    fe1.write([replace(PHONE, instance=None)], restores=True)
    assert len(fe1.rows()) == 2


def test_preferred_contact_comes_first_and_the_newest_among_equals(fe1: Member) -> None:
    tablet, desk = replace(PHONE, instance="<urn:uuid:2>", q=0.5), replace(PHONE, instance="<urn:uuid:3>")
    fe1.write([tablet, PHONE])
    fe1.write([desk])
    assert fe1.rows() == [desk, PHONE, tablet]
    fe1.write([replace(PHONE, cseq=2)])
    assert fe1.rows() == [replace(PHONE, cseq=2), desk, tablet]


def test_rows_of_an_earlier_incarnation_are_dead(begin: Begin, fe1: Member, fe2: Member) -> None:
    fe1.write([PHONE])
    assert fe2.rows() == [PHONE]
    version = fe2.version()
    begin(FE1, 8)
    assert fe2.version() != version
    assert fe2.rows() == []


def test_server_that_begins_leaves_the_rows_of_others_alone(begin: Begin, fe1: Member) -> None:
    fe1.write([PHONE])
    begin(FE2, 3)
    assert fe1.rows() == [PHONE]


def test_server_that_closes_takes_its_rows_along(fe1: Member, fe2: Member) -> None:
    fe1.write([PHONE])
    fe2.write([replace(ELSEWHERE, aor=BOB)])
    version = fe2.version()
    fe1.locations.close()
    fe2.until(lambda: fe2.locations.versions[fe2.locations.slot(ALICE)] != version)
    assert fe2.rows() == []
    assert len(fe2.rows(BOB)) == 1


def test_changes_of_one_server_are_made_in_their_order(fe1: Member) -> None:
    told: list[WriteResult | None] = []
    for number in range(50):
        fe1.locations.write(Write(ALICE, (replace(PHONE, cseq=2 * number),), (), told.append))
        fe1.locations.write(Write(ALICE, (), (PHONE,), told.append))
    fe1.locations.write(Write(ALICE, (replace(PHONE, cseq=1),), (), told.append))
    fe1.until(lambda: len(told) == 101)
    assert fe1.rows() == [replace(PHONE, cseq=1)]
    assert fe1.locations.health.waiting == 0


def test_write_that_was_withdrawn_in_time_is_not_made(fe1: Member) -> None:
    told: list[WriteResult | None] = []
    fe1.locations.write(Write(ALICE, (PHONE,), (), told.append, withdrawn=True))
    fe1.until(lambda: told)
    assert told == [None]
    assert fe1.rows() == []


def test_bytes_that_are_no_utf8_are_kept_readable(fe1: Member) -> None:
    """And their user is found under the same name again."""
    name = b"sip:al\xffice@example.test".decode("utf-8", "surrogateescape")
    fe1.write([replace(PHONE, aor=name, user_agent="phone")])
    assert [row.user_agent for row in fe1.rows(name)] == ["phone"]
