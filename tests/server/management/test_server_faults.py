"""The faults of a server, at each threshold and one step past it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.server.management.server_faults import (
    BEHIND_TOO_LONG,
    CLOCKS_DIFFER_S,
    Fault,
    Known,
    apart,
    own_clock_faults,
)
from sipmesh.server.management.server_reports import SILENT_S, StatusReport
from sipmesh.server.management.sightings import Sighting
from sipmesh.server.replication.link_fault import Cause, LinkFault
from sipmesh.server.replication.server_status import PeerFault, PeerKind, ServerStatus
from sipmesh.trust.code import Code

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MGMT, FE1, FE2, FE3 = (f"{name}.example.test" for name in ("mgmt", "fe1", "fe2", "fe3"))
POOL = "pool1.example.test"


def known(server: str = FE1, unreadable: Mapping[str, str] | None = None, **changes: object) -> Known:
    """A server without faults that has just reported."""
    status = ServerStatus(number=3).model_copy(update=changes)
    return Known(server, POOL, StatusReport(status, NOON), linked=True, unreadable=unreadable or {})


def found(one: Known, *seen: Sighting, at: datetime = NOON, newest: int = 3) -> list[Fault]:
    faults = list(one.faults(newest, at, MGMT, seen))
    assert all(fault.remedy for fault in faults)
    return faults


def faults(one: Known, at: datetime = NOON, newest: int = 3) -> list[str]:
    return [fault.what for fault in found(one, at=at, newest=newest)]


def reported(one: Known) -> StatusReport:
    assert one.report is not None
    return one.report


def test_server_that_has_just_reported_has_no_fault() -> None:
    assert faults(known()) == []


def test_silence_is_a_fault_after_the_threshold() -> None:
    assert faults(replace(known(), silent_s=SILENT_S)) == []
    [fault] = faults(replace(known(), silent_s=SILENT_S + 1))
    assert fault == "cut off, last report 31 s ago: it sends no reports"


def test_lag_is_a_fault_after_the_threshold() -> None:
    one = known(number=2)
    reported(one).behind_since = NOON - BEHIND_TOO_LONG
    assert faults(one) == []
    assert faults(one, NOON + SECOND) == ["behind the newest version for 1 min 1 s"]
    assert faults(one, NOON + SECOND, newest=2) == []


def test_journal_that_cannot_be_written_is_a_fault() -> None:
    [fault] = faults(known(records_fault="state/calls/a cannot be written: No space left on device"))
    assert fault.startswith("records of calls are not written, and wait in its memory: state/calls/a cannot be written")


def test_server_that_has_to_be_restarted_is_a_fault() -> None:
    [fault] = faults(known(awaits_restart="published addresses or ports differ"))
    assert fault == "has to be restarted: published addresses or ports differ"


def test_rtpengine_that_does_not_answer_is_a_fault() -> None:
    [fault] = faults(known(rtpengine_fault="rtpengine does not answer at 127.0.0.1:2223"))
    assert fault == "calls that need rtpengine fail: rtpengine does not answer at 127.0.0.1:2223"


def test_worker_that_does_not_serve_is_a_fault() -> None:
    [fault] = faults(known(workers_fault="worker 2 is starting: its process was ended by SIGKILL"))
    assert fault == "worker 2 is starting: its process was ended by SIGKILL"


@pytest.mark.parametrize("jump", [timedelta(days=9), timedelta(days=-9)])
def test_silence_does_not_depend_on_a_clock_that_was_set(jump: timedelta) -> None:
    assert faults(known(), NOON + jump) == []


def test_own_clock_is_a_fault_if_most_clocks_say_so() -> None:
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


def test_wrong_clock_is_the_cause_of_what_follows_from_it() -> None:
    """The clock of an edge shows in the report that a front end relays. The control is a port that refuses."""
    late = known(at=NOON + timedelta(days=9), refuses_from=NOON, refuses_because="the end of its certificate")
    reported(late).by = FE2
    assert [fault.code for fault in found(late, Sighting(FE2, "alert", Code.REFUSED_BY_PEER))] == [Cause.CLOCK]
    refused = found(late, Sighting(FE2, "Connection refused", Cause.PORT_REFUSES))
    assert [fault.code for fault in refused] == [Cause.CLOCK, Cause.PORT_REFUSES]
    assert found(replace(known(at=NOON + timedelta(seconds=20)), report=replace(reported(known()), by=FE2))) == []


def test_missing_link_is_a_fault_unless_a_front_end_relays_the_reports() -> None:
    lost = replace(known(), linked=False, fault=LinkFault("connection refused", Cause.PORT_REFUSES))
    assert faults(lost) == [f"no link to it works from {MGMT}: connection refused"]
    assert not lost.is_reached
    brought = replace(known(), linked=False)
    reported(brought).by = FE2
    assert faults(brought) == []
    assert brought.is_reached
    assert not replace(brought, silent_s=SILENT_S + 1).is_reached


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


def test_server_that_does_not_answer_others_has_one_fault_that_names_them() -> None:
    [fault] = found(known(), *(Sighting(by, "it does not answer requests", Cause.NO_ANSWER) for by in (FE3, FE2)))
    assert (fault.what, fault.hurts) == (f"it does not answer {FE2}, {FE3}", (FE2, FE3))
    assert FE1 in fault.remedy


def test_verdict_of_another_server_decides_the_remedy() -> None:
    """The edge sends no report, and management has no link to an edge."""
    refused = Sighting(FE2, "revoked: serial 1 is on CRL 2", Code.REVOKED)
    unheard = Sighting(FE3, "it does not answer requests", Cause.NO_ANSWER)
    [fault] = found(replace(known(), silent_s=SILENT_S + 1), unheard, refused)
    assert fault.what.startswith("cut off, last report 31 s ago: no link to it works from ")
    assert (fault.code, fault.hurts, f"sipmesh ca issue {FE1}" in fault.remedy) == (Code.REVOKED, (FE2, FE3), True)


def test_certificate_on_our_crl_is_a_fault_before_a_server_refuses_it() -> None:
    [fault] = found(replace(known(), is_revoked=True))
    assert (fault.code, fault.hurts) == (Code.REVOKED, (MGMT,))


def test_remedy_of_a_server_without_a_report_is_to_start_it_unless_it_is_refused() -> None:
    silent = replace(known(), report=None, linked=False, fault=LinkFault("Connection refused", Cause.PORT_REFUSES))
    [fault] = found(silent)
    assert (fault.code, f"sipmesh serve {FE1}" in fault.remedy) == (Cause.NOT_STARTED, True)
    [fault] = found(replace(silent, fault=LinkFault("expired: x", Code.EXPIRED)))
    assert (fault.code, "sipmesh serve" in fault.remedy) == (Code.EXPIRED, False)


def test_pool_that_is_taken_over_is_a_fault_with_its_remedy() -> None:
    [fault] = found(known(taken_over=("pool2.example.test",)))
    assert "has taken over the users of pool2.example.test" in fault.what
    assert "start a server of pool2.example.test" in fault.remedy


def test_servers_of_a_pool_share_one_store_of_bindings() -> None:
    one, same, other = known(bindings="aa"), known(FE2, bindings="aa"), known(FE2, bindings="bb")
    assert apart([one, same]) == {}
    assert apart([one, known(FE2)]) == {}  # one server has not reported its store yet
    assert apart([one, replace(other, pool="pool2.example.test")]) == {}
    fault = apart([one, other])[POOL]
    assert fault.what.startswith(f"{POOL} has 2 separate registration stores ({FE1}; {FE2})")


@pytest.mark.parametrize(("silent_s", "count"), [(9.0, 0), (10.0, 1)])
def test_server_refuses_all_peers_by_its_own_clock_and_not_by_ours(silent_s: float, count: int) -> None:
    """Our clock is nine days ahead: before its next report, the CRLs of a server have not expired by that."""
    one = known(at=NOON, refuses_from=NOON + timedelta(seconds=10), refuses_because="the end of the CRL of CN=Issuing")
    assert len(faults(replace(one, silent_s=silent_s), NOON + timedelta(days=9))) == count


@pytest.mark.parametrize(
    ("because", "remedy"),
    [
        ("the end of its certificate", f"sipmesh ca issue {FE1}"),
        ("the end of the CRL of CN=example.com Issuing CA", "sipmesh ca crl"),
    ],
)
def test_remedy_of_a_server_that_refuses_all_peers_is_for_what_has_expired(because: str, remedy: str) -> None:
    [fault] = found(known(refuses_from=NOON, refuses_because=because))
    assert remedy in fault.remedy


def test_server_whose_certificate_has_expired_refuses_all_peers_and_that_is_a_fault() -> None:
    """The same source as `sipmesh doctor`: what the server uses, and when that ends."""
    ended = "the end of its certificate"
    one = known(refuses_from=NOON, refuses_because=ended)
    assert faults(one, NOON - SECOND) == []
    assert faults(one) == [f"it refuses all peers since 2026-11-25 12:00:00Z: {ended}"]
    assert faults(known(refuses_because="it presents no certificate")) == [
        "it refuses all peers: it presents no certificate"
    ]


def test_expired_crl_is_the_fault_of_the_ca_and_not_of_each_server() -> None:
    lapsed = PeerFault(peer="example.test", kind=PeerKind.CA, why="expired", code=Cause.CRL_EXPIRED)
    assert faults(known(refuses_from=NOON, refuses_because="x", peer_faults=(lapsed,))) == []


def test_silent_server_has_no_fault_by_what_it_used_before() -> None:
    [fault] = faults(replace(known(refuses_from=NOON, refuses_because="x"), silent_s=SILENT_S + 1))
    assert fault.startswith("cut off")
