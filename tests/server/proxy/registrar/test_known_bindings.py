"""What a server knows of bindings: its own rows for good, those of others while they are unchanged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.registrar.known_bindings import KnownBindings, address_of
from sipmesh.storage.location_service.locations import StoredRows, WriteResult
from storage.members import ALICE, BOB, ELSEWHERE, FE1, PHONE

NOW = 1_000.0
OURS = replace(PHONE, expires_at=NOW + 600)


class Known:
    """What fe1 knows, beside a store of two slots whose versions a test sets."""

    def __init__(self, most_kept: int = 10) -> None:
        self.versions = [5, 5]
        self.known = KnownBindings(FE1, self.versions, lambda aor: int(aor == BOB), OtherProcesses(), most_kept)

    def written(self, *put: object, version: int = 6) -> None:
        """A write of ours was made."""
        rows = [row for row in put if isinstance(row, type(PHONE))]
        slot = int(rows[0].aor == BOB)
        before, self.versions[slot] = self.versions[slot], version
        self.known.accept_written(rows[0].aor, rows, (), WriteResult(frozenset(), before, version))

    def stored(
        self,
        *rows: object,
        aor: str = ALICE,
        remembered: bool = True,
        removed: frozenset[str] | None = None,
        now: float = NOW,
    ) -> list[Binding]:
        """The rows of a user were read; gives those that have to be stored again."""
        found = tuple(row for row in rows if isinstance(row, type(PHONE)))
        stored = StoredRows(found, self.versions[int(aor == BOB)], remembered, removed=removed)
        return self.known.accept_stored(aor, stored, now)


@pytest.fixture(name="one")
def _one() -> Known:
    return Known()


def test_rows_that_were_not_asked_for_have_to_be_read_unless_there_never_was_one(one: Known) -> None:
    assert one.known.of(ALICE, NOW) is None
    one.versions[0] = 0
    assert one.known.of(ALICE, NOW) == ()


def test_what_was_read_counts_until_it_is_changed(one: Known) -> None:
    one.stored(ELSEWHERE)
    assert one.known.of(ALICE, NOW) == [ELSEWHERE]
    one.versions[1] = 9
    assert one.known.of(ALICE, NOW) == [ELSEWHERE], "another slot"
    one.versions[0] = 9
    assert one.known.of(ALICE, NOW) is None


def test_rows_are_read_again_while_news_of_a_late_store_was_not_read(one: Known) -> None:
    behind = [False]
    one.known = KnownBindings(
        FE1, one.versions, lambda aor: int(aor == BOB), OtherProcesses(), is_behind=lambda: behind[0]
    )
    one.stored(ELSEWHERE)
    assert one.known.of(ALICE, NOW) == [ELSEWHERE]
    behind[0] = True
    assert one.known.of(ALICE, NOW) is None


def test_late_store_is_asked_each_time_for_a_user_without_rows(one: Known) -> None:
    one.known = KnownBindings(FE1, one.versions, lambda aor: int(aor == BOB), OtherProcesses(), is_behind=lambda: False)
    one.stored()
    assert one.known.of(ALICE, NOW) is None
    assert one.known.kept(ALICE, NOW) == []


def test_that_there_is_no_row_is_known_too(one: Known) -> None:
    one.stored()
    assert one.known.of(ALICE, NOW) == []


def test_row_that_we_have_stored_joins_those_that_were_read(one: Known) -> None:
    one.stored(replace(ELSEWHERE, instance="<urn:2>"))
    one.written(OURS)
    rows = one.known.of(ALICE, NOW)
    assert rows is not None
    assert [row.server for row in rows] == [FE1, ELSEWHERE.server]


def test_row_that_we_have_stored_beside_unread_rows_has_the_rest_read(one: Known) -> None:
    one.written(OURS)
    assert one.known.of(ALICE, NOW) is None
    assert one.known.ours(ALICE, NOW) == [OURS]


def test_change_of_another_server_between_ours_has_all_of_it_read_again(one: Known) -> None:
    one.stored()
    one.versions[0] = 9
    one.written(OURS, version=10)
    assert one.known.of(ALICE, NOW) is None


def test_row_of_ours_ends_by_our_clock_and_one_of_another_server_does_not(one: Known) -> None:
    one.stored(replace(ELSEWHERE, instance="<urn:2>"))
    one.written(OURS)
    assert len(one.known.of(ALICE, NOW + 599.9) or ()) == 2
    assert one.known.of(ALICE, NOW + 600) == [replace(ELSEWHERE, instance="<urn:2>")]
    assert one.known.ours(ALICE, NOW + 600) == []
    assert one.known.expire(NOW + 599) == {}
    assert one.known.expire(NOW + 601) == {ALICE: [OURS]}
    assert len(one.known) == 0
    assert one.known.expire(NOW + 100_000) == {}


def test_refreshed_row_ends_later_and_one_with_less_time_earlier(one: Known) -> None:
    one.stored()
    one.written(OURS)
    one.known.expire(NOW)
    one.known.refresh(replace(OURS, expires_at=NOW + 900, cseq=2))
    assert one.known.expire(NOW + 700) == {}
    one.known.refresh(replace(OURS, expires_at=NOW + 750, cseq=3))
    assert one.known.of(ALICE, NOW + 749) == [replace(OURS, expires_at=NOW + 750, cseq=3)]
    assert [row.cseq for row in one.known.expire(NOW + 751)[ALICE]] == [3]


def test_user_who_registers_again_and_again_leaves_nothing_behind(one: Known) -> None:
    """A row is looked at once, at its present end: each of those that are gone would take memory for an hour."""
    one.stored()
    for number in range(20):
        row = replace(OURS, cseq=number, expires_at=NOW + 600 - number)
        one.written(row, version=10 + number)
        one.known.refresh(replace(row, expires_at=NOW + 300 - number))
        assert sum(len(keys) for keys in one.known._ends._buckets.values()) == 1
        one.known.remove(one.known.ours(ALICE, NOW))
        assert not one.known._ends._buckets
    one.written(OURS, version=40)
    assert one.known.expire(NOW + 601) == {ALICE: [OURS]}


def test_row_that_another_server_has_replaced_or_removed_is_no_longer_ours(one: Known) -> None:
    for rows in ((ELSEWHERE,), ()):
        one.written(OURS, version=7)
        one.versions[0] = 8
        one.stored(*rows)
        assert one.known.of(ALICE, NOW) == list(rows)
        assert len(one.known) == 0
        assert one.known.expire(NOW + 601) == {}


def test_row_of_ours_is_kept_where_the_store_has_lost_us_unless_its_device_has_moved(one: Known) -> None:
    one.written(OURS)
    one.stored(replace(ELSEWHERE, instance="<urn:2>"), remembered=False)
    assert len(one.known.of(ALICE, NOW) or ()) == 2
    one.stored(ELSEWHERE, remembered=False)
    assert one.known.of(ALICE, NOW) == [ELSEWHERE]


def test_row_that_is_about_to_be_dropped_from_the_store_is_not_given_out(one: Known) -> None:
    one.stored()
    one.written(OURS)
    assert one.known.close_flow(OURS.flow) == {ALICE: [OURS]}
    one.stored(OURS)
    assert one.known.of(ALICE, NOW) == []


def test_closed_flow_takes_the_rows_of_all_its_users_along_and_no_others(one: Known) -> None:
    tablet = replace(OURS, instance="<urn:2>", flow=42)
    one.stored()
    one.stored(aor=BOB)
    one.written(OURS, tablet)
    one.written(replace(OURS, aor=BOB))
    assert set(one.known.close_flow(OURS.flow)) == {ALICE, BOB}
    assert one.known.of(ALICE, NOW) == [tablet]
    assert one.known.of(BOB, NOW) == []
    assert one.known.close_flow(OURS.flow) == {}


def test_closed_flow_does_not_take_a_device_that_has_moved_on(one: Known) -> None:
    one.stored()
    moved = replace(OURS, flow=42, token="42", cseq=2)
    one.written(OURS)
    one.written(moved, version=7)
    assert one.known.close_flow(41) == {}
    assert one.known.of(ALICE, NOW) == [moved]


def test_row_is_removed_only_if_it_is_still_that_row(one: Known) -> None:
    one.stored(ELSEWHERE)
    one.known.remove([replace(ELSEWHERE, token="older"), replace(ELSEWHERE, aor=BOB)])
    assert one.known.of(ALICE, NOW) == [ELSEWHERE]
    one.known.remove([ELSEWHERE])
    assert one.known.of(ALICE, NOW) == []


def test_row_that_gave_way_to_a_newer_one_is_not_kept(one: Known) -> None:
    one.stored()
    result = WriteResult(frozenset({OURS.key}), 5, 6)
    one.versions[0] = 6
    assert one.known.accept_written(ALICE, [OURS], (), result) == []
    assert one.known.of(ALICE, NOW) is None, "what is there has to be read"


@pytest.mark.parametrize(("users", "kept"), [(3, [[], []]), (4, [None, []])])
def test_rows_of_other_servers_are_kept_up_to_a_limit_and_ours_always(users: int, kept: list[object]) -> None:
    one = Known(most_kept=3)
    one.stored()
    one.written(OURS)
    for number in range(users):
        one.stored(aor=f"sip:u{number}@example.test")
    assert [one.known.of(f"sip:u{number}@example.test", NOW) for number in (0, users - 1)] == kept
    assert one.known.ours(ALICE, NOW) == [OURS]


def test_own_rows_come_page_by_page_in_the_order_of_their_keys(one: Known) -> None:
    """Each once, for any end of a page: an address may have several devices. Those of others are others' to list."""
    rows = [replace(OURS, aor=f"sip:u{n // 3}@example.test", instance=f"<urn:{n}>", token=str(n)) for n in range(9)]
    for row in reversed(rows):
        one.written(row)
    one.stored(ELSEWHERE)
    found: list[object] = []
    after = ("", "")
    while page := one.known.own_rows(4, after):
        found += page
        after = page[-1].key
    assert found == rows
    assert len(one.known) == 9


CAROL = "sip:carol@example.test"


def at(contact: str, aor: str = ALICE, flow: int = 1) -> Binding:
    """A row of ours with that Contact."""
    return replace(OURS, aor=aor, contact=contact, instance=None, flow=flow, token=f"{aor} {contact}")


def test_user_of_a_contact_is_found_until_the_row_ends(one: Known) -> None:
    """For each cause: a new Contact of the instance, its time, its link, or another server that has taken it over."""
    one.written(OURS)
    address = address_of(OURS)
    assert one.known.owner_at(address) == ALICE
    moved = replace(OURS, contact="sip:alice@192.0.2.99:5070", cseq=OURS.cseq + 1)
    one.written(moved, version=7)
    assert (one.known.owner_at(address), one.known.owner_at("alice@192.0.2.99")) == ("", ALICE)
    one.known.close_flow(moved.flow)
    assert one.known.owner_at("alice@192.0.2.99") == ""
    one.written(at("sip:alice@192.0.2.1"), version=8)
    one.known.expire(NOW + 601)
    assert one.known.owner_at("alice@192.0.2.1") == ""
    one.written(at("sip:alice@192.0.2.1"), version=9)
    one.stored()
    assert one.known.owner_at("alice@192.0.2.1") == ""
    assert not one.known._aors_at


def test_row_of_another_server_is_not_found_by_its_contact(one: Known) -> None:
    one.stored(ELSEWHERE)
    assert one.known.owner_at(address_of(ELSEWHERE)) == ""


def test_contact_is_an_address_of_the_user_whose_name_it_has_alone(one: Known) -> None:
    """Others may register it, and get nothing by it; two users of one name in two domains have none."""
    namesake = "sip:alice@second.test"
    for number, aor in enumerate((BOB, CAROL)):
        one.written(at("sip:alice@192.0.2.1", aor, flow=number + 2), version=10 + number)
    assert one.known.owner_at("alice@192.0.2.1") == ""
    one.written(at("sip:alice@192.0.2.1"), version=20)
    assert one.known.owner_at("alice@192.0.2.1") == ALICE
    one.written(at("sip:alice@192.0.2.1", namesake, flow=9), version=30)
    assert one.known.owner_at("alice@192.0.2.1") == ""
    one.known.close_flow(9)
    assert one.known.owner_at("alice@192.0.2.1") == ALICE


def test_contact_without_a_user_is_no_address(one: Known) -> None:
    one.written(at("sip:192.0.2.1"))
    assert one.known.owner_at("") == ""
    one.known.close_flow(1)


NOTHING: frozenset[str] = frozenset()
NAME = OURS.key.name


def test_row_of_ours_that_was_not_removed_is_kept_and_stored_again(one: Known) -> None:
    """A store that says who has removed what; in a store of ours alone, each missing row was removed."""
    one.written(OURS)
    one.versions[0] = 7
    assert one.stored(removed=NOTHING) == [OURS]
    assert one.known.of(ALICE, NOW) == [OURS]
    one.versions[0] = 8
    assert one.stored(removed=frozenset({NAME})) == []
    assert one.known.of(ALICE, NOW) == []
    one.written(OURS, version=9)
    one.versions[0] = 10
    assert one.stored(removed=None) == []
    assert one.known.of(ALICE, NOW) == []


def test_row_of_ours_that_another_server_has_replaced_counts_again_if_that_row_vanishes(one: Known) -> None:
    one.written(OURS)
    one.versions[0] = 7
    assert one.stored(ELSEWHERE, removed=NOTHING) == []
    assert one.known.of(ALICE, NOW) == [ELSEWHERE]
    assert one.known.has_rows_of(ALICE)
    assert not len(one.known)
    one.known.accept_written(ALICE, (), (ELSEWHERE,), WriteResult(frozenset(), 7, 7))
    one.versions[0] = 8
    assert one.stored(removed=NOTHING) == [OURS]
    assert one.known.of(ALICE, NOW) == [OURS]
    assert one.known.close_flow(OURS.flow) == {ALICE: [OURS]}


@pytest.mark.parametrize("ends", ["removed", "closed", "registered"])
def test_row_aside_ends_with_what_would_have_ended_it(one: Known, ends: str) -> None:
    one.written(OURS)
    one.stored(ELSEWHERE, removed=NOTHING)
    if ends == "closed":
        one.known.close_flow(OURS.flow)
    elif ends == "registered":
        one.known.registered(ALICE, [ELSEWHERE])
    assert one.stored(removed=frozenset({NAME} if ends == "removed" else ())) == []
    assert not one.known.has_rows_of(ALICE)


def test_row_that_only_claims_to_be_ours_is_not_given_out_and_ours_is_stored_again(one: Known) -> None:
    one.written(OURS)
    one.versions[0] = 7
    assert one.stored(replace(OURS, token="another"), removed=NOTHING) == [OURS]
    assert one.known.of(ALICE, NOW) == [OURS]
