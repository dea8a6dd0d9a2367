"""Applications and partners have the faults that servers report of them, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sipmesh.server.management.network import Member, Snapshot
from sipmesh.server.management.peer_statuses import peer_statuses
from sipmesh.server.management.server_faults import SILENT, Known
from sipmesh.server.management.server_reports import StatusReport
from sipmesh.server.replication.server_status import PeerFault, PeerKind, ServerStatus
from sipmesh.trust.role import Role

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
FE1, FE2, EDGE, MGMT = (f"{name}.example.test" for name in ("fe1", "fe2", "edge1", "mgmt"))
BOT, PARTNER, POOL = "bot.example.test", "partner.test", "pool1.example.test"
PEERS = ((BOT, PeerKind.APPLICATION), (PARTNER, PeerKind.PARTNER))


def known(server: str, *unanswered: str, **whys: str) -> Known:
    """A server that has just reported; *whys* by the first label of the peer."""
    kinds = {"bot": PEERS[0], "partner": PEERS[1]}
    faults = tuple(
        PeerFault(peer=kinds[name][0], kind=kinds[name][1], why=why, code=f"code of {why}")
        for name, why in whys.items()
    )
    status = ServerStatus(number=3, unanswered=unanswered, peer_faults=faults)
    return Known(server, POOL, StatusReport(status, NOON), linked=True, why_not="", unreadable={})


def told(*servers: Known, at: datetime = NOON) -> dict[str, list[str]]:
    return {peer.name: [fault.what for fault in peer.faults] for peer in peer_statuses(PEERS, servers, at)}


def test_peer_without_a_report_about_it_has_no_fault() -> None:
    assert told(known(FE1), known(EDGE)) == {BOT: [], PARTNER: []}


def test_same_fault_of_several_servers_is_listed_once() -> None:
    assert told(known(FE1, bot="refused"), known(FE2, bot="refused"), known(EDGE, partner="name-mismatch")) == {
        BOT: [f"no link to it works from {FE1}, {FE2}: refused"],
        PARTNER: [f"no link to it works from {EDGE}: name-mismatch"],
    }


def test_code_of_the_verdict_is_that_of_the_report() -> None:
    [bot, partner] = peer_statuses(PEERS, [known(FE1, bot="refused"), known(EDGE, PARTNER)], NOON)
    assert [fault.code for peer in (bot, partner) for fault in peer.faults] == ["code of refused", ""]


def test_application_that_answers_no_request_has_a_fault_before_it_is_checked() -> None:
    assert told(known(FE1, BOT)) == {BOT: [f"no link to it works from {FE1}: it does not answer requests"], PARTNER: []}


def test_report_of_a_server_that_is_cut_off_does_not_count() -> None:
    late = NOON + SILENT
    assert told(known(FE1, bot="refused"), at=late)[BOT]
    assert not told(known(FE1, bot="refused"), at=late + timedelta(seconds=1))[BOT]


def test_report_about_a_name_that_is_no_application_and_no_partner_is_left_out() -> None:
    """The name is what a server has claimed."""
    assert set(told(known(FE1, "evil.test"))) == {BOT, PARTNER}


def test_fault_is_listed_at_its_cause_alone() -> None:
    """The edge sends no report, so that it has the fault; FE2 reports, so that the way from FE1 to it has one."""
    members = [(Member(name, POOL, Role.FRONT_END), known(name)) for name in (FE2,)]
    members.append((Member(FE1, POOL, Role.FRONT_END), known(FE1, BOT, EDGE, FE2)))
    silent = Known(EDGE, POOL, None, linked=False, why_not="", unreadable={})
    snapshot = Snapshot(3, NOON, MGMT, ServerStatus(number=3), [*members, (Member(EDGE, POOL, Role.EDGE), silent)])
    status = Snapshot(3, NOON, MGMT, ServerStatus(number=3), snapshot.known, peers=PEERS).status()
    faults = {one.known.server: [fault.what for fault in one.faults] for one in status.members}
    assert faults[FE2] == []
    assert faults[FE1] == [f"{FE2} does not answer it"]
    assert faults[EDGE] == ["no report from it yet: no connection yet"]
    assert status.faulty == [("server", FE1), ("server", EDGE), ("application", BOT)]
