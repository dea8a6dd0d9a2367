"""The faults of a server, at each threshold and one step past it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.server.management.server_faults import (
    BEHIND_TOO_LONG,
    CLOCKS_DIFFER_S,
    SILENT,
    Known,
    apart,
    clocks_s,
    own_clock_faults,
)
from sipmesh.server.management.server_reports import StatusReport
from sipmesh.server.replication.server_status import ServerStatus

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FE1, FE2, POOL = "fe1.example.test", "fe2.example.test", "pool1.example.test"


def known(server: str = FE1, unreadable: Mapping[str, str] | None = None, **changes: object) -> Known:
    """A server without faults that has just reported."""
    status = ServerStatus(number=3).model_copy(update=changes)
    return Known(server, POOL, StatusReport(status, NOON), linked=True, why_not="", unreadable=unreadable or {})


def faults(one: Known, at: datetime = NOON, newest: int = 3) -> list[str]:
    found = list(one.faults(newest, at))
    assert all(fault.remedy for fault in found)
    return [fault.what for fault in found]


def reported(one: Known) -> StatusReport:
    assert one.report is not None
    return one.report


def test_server_that_has_just_reported_has_no_fault() -> None:
    assert faults(known()) == []


def test_silence_is_a_fault_after_the_threshold() -> None:
    assert faults(known(), NOON + SILENT) == []
    [fault] = faults(known(), NOON + SILENT + SECOND)
    assert fault == "cut off, last report 31 s ago: it sends no reports"


def test_lag_is_a_fault_after_the_threshold() -> None:
    one = known(number=2)
    reported(one).behind_since = NOON - BEHIND_TOO_LONG
    assert faults(one) == []
    assert faults(one, NOON + SECOND) == ["behind the newest version for 1 min 1 s"]
    assert faults(one, NOON + SECOND, newest=2) == []


def test_store_of_registrations_that_cannot_be_used_is_a_fault() -> None:
    [fault] = faults(known(bindings_fault="valkeys://a.example.test: WRONGPASS"))
    assert fault == "its registrations cannot be stored: valkeys://a.example.test: WRONGPASS"


def test_database_of_stored_messages_that_cannot_be_used_is_a_fault() -> None:
    [fault] = faults(known(messages_fault="the messages database has revision 9999"))
    assert fault.startswith("messages for users who are away cannot be stored: the messages database has revision 9999")


def test_journal_that_cannot_be_written_is_a_fault() -> None:
    [fault] = faults(known(records_fault="state/calls/a cannot be written: No space left on device"))
    assert fault.startswith("records of calls are not written, and wait in its memory: state/calls/a cannot be written")


def test_worker_that_does_not_serve_is_a_fault() -> None:
    [fault] = faults(known(workers_fault="worker 2 is starting: its process was ended by SIGKILL"))
    assert fault == "worker 2 is starting: its process was ended by SIGKILL"


def test_own_clock_is_a_fault_if_most_clocks_say_so() -> None:
    """A report of before, a relayed one and the report of one server prove nothing."""
    at = NOON + timedelta(hours=1)
    ahead = [replace(reported(known(at=at)), heard_at=NOON) for _ in range(3)]
    assert clocks_s(ahead, NOON + SILENT) == (3_600.0,) * 3
    assert clocks_s(ahead, NOON + SILENT + SECOND) == ()
    assert clocks_s([replace(ahead[0], by=FE2)], NOON) == ()
    assert list(own_clock_faults("mgmt.example.test", (3_600.0,))) == []
    [behind] = own_clock_faults("mgmt.example.test", (3_600.0,) * 3)
    assert behind.what == "its clock is 3600 s behind the clocks of most servers, so it signs no CRL"
    assert behind.remedy == "set the clock of mgmt.example.test, for example by NTP; it signs then by itself"


def test_version_that_was_never_published_is_a_fault() -> None:
    """Management has lost its history, or a server sends a false report."""
    assert faults(known(number=4)) == ["has version 4, but the newest published version is 3"]


@pytest.mark.parametrize(("ahead_s", "count"), [(CLOCKS_DIFFER_S, 0), (CLOCKS_DIFFER_S + 1, 1), (-6.0, 1)])
def test_clock_is_a_fault_past_the_threshold(ahead_s: float, count: int) -> None:
    assert len(faults(known(at=NOON + timedelta(seconds=ahead_s)))) == count


def test_missing_link_is_a_fault_unless_a_front_end_relays_the_reports() -> None:
    lost = replace(known(), linked=False, why_not="refused: connection refused")
    assert faults(lost) == ["no link to it: refused: connection refused"]
    assert not lost.is_reached(NOON)
    brought = replace(known(), linked=False)
    reported(brought).by = FE2
    assert faults(brought) == []
    assert brought.is_reached(NOON)
    assert not brought.is_reached(NOON + SILENT + SECOND)


def test_missing_report_and_unreadable_reports_are_faults() -> None:
    silent = replace(known(unreadable={"": "number: missing", FE2: "links: no mapping"}), report=None)
    assert faults(silent) == [
        "its report cannot be read: number: missing",
        f"its report from {FE2} cannot be read: links: no mapping",
        "no report from it yet: no connection yet",
    ]


def test_errors_of_the_server_are_faults() -> None:
    said = faults(known(error="users from mgmt: no", certificate_fault="its name is missing"))
    assert said == ["users from mgmt: no", "new certificate rejected: its name is missing"]


def test_server_that_does_not_answer_another_is_a_fault_that_names_both() -> None:
    [fault] = known(unanswered=(FE2,)).faults(3, NOON)
    assert fault.what == f"{FE2} does not answer it"
    assert FE2 in fault.remedy
    assert FE1 in fault.remedy


def test_pool_that_is_taken_over_is_a_fault_with_its_remedy() -> None:
    [fault] = known(taken_over=("pool2.example.test",)).faults(3, NOON)
    assert "has taken over the users of pool2.example.test" in fault.what
    assert "start a server of pool2.example.test" in fault.remedy


def test_servers_of_a_pool_share_one_store_of_bindings() -> None:
    one, same, other = known(bindings="aa"), known(FE2, bindings="aa"), known(FE2, bindings="bb")
    assert apart([one, same]) == {}
    assert apart([one, known(FE2)]) == {}  # one server has not reported its store yet
    assert apart([one, replace(other, pool="pool2.example.test")]) == {}
    fault = apart([one, other])[POOL]
    assert fault.what.startswith(f"{POOL} has 2 separate registration stores ({FE1}; {FE2})")


def test_server_whose_crl_has_expired_refuses_all_peers_and_that_is_a_fault() -> None:
    """The same source as `sipmesh doctor`: what the server uses, and when that ends."""
    ended = "the end of the CRL of CN=Issuing"
    one = known(refuses_from=NOON, refuses_because=ended)
    assert faults(one, NOON - SECOND) == []
    assert faults(one) == [f"it refuses all peers since 2026-11-25 12:00:00Z: {ended}"]
    assert faults(known(refuses_because="it presents no certificate")) == [
        "it refuses all peers: it presents no certificate"
    ]


def test_silent_server_has_no_fault_by_what_it_used_before() -> None:
    [fault] = faults(known(refuses_from=NOON, refuses_because="x"), NOON + SILENT + SECOND)
    assert fault.startswith("cut off")
