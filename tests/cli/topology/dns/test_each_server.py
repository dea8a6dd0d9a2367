"""DNS as each server sees it: the servers ask by an order of management, and the command compares."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.topology.dns.dns_world import knot
from cli.topology.dns.test_command import zone_files
from cli.world import Organisation
from sipmesh.cli.control_client import ask_one
from sipmesh.cli.topology.dns.each_server import _report
from sipmesh.demo.ports import HOST
from sipmesh.server.control_socket import SOCKET_SUFFIX, STATE
from sipmesh.server.management.replies import ACKNOWLEDGED, DnsReply
from sipmesh.server.replication.server_status import DnsSeen
from sipmesh.topology.builder.dns_findings import State
from sipmesh.topology.builder.dns_records import DnsRecord, Purpose

DOMAIN = "example.com"
FE1 = f"fe1.{DOMAIN}"
OURS = '0 issue "ca.test; accounturi=https://ca.test/acct/1"'
RECORDS = [DnsRecord(FE1, "A", "192.0.2.1", Purpose.PHONES), DnsRecord(DOMAIN, "TLSA", "3 1 1 ab", Purpose.PHONES)]


@pytest.mark.peer("knot")
@pytest.mark.wide
def test_front_end_sees_a_missing_record_and_the_others_are_right(
    organisation_model: Organisation, tmp_path: Path
) -> None:
    """The name server is that of the topology: the machine that types the command asks no name server."""
    made = organisation_model.copied(tmp_path / "o")
    with_dane = made.copied(tmp_path / "d")
    assert with_dane.type("topology", "change", "network", "dane=true").code == 0
    zone = [line for line in zone_files(with_dane)[DOMAIN] if "NAPTR" not in line]
    with knot(tmp_path, {DOMAIN: zone}) as port:
        assert made.type("topology", "change", "network", f"dns.servers+={HOST}:{port}").code == 0
        assert made.type("topology", "change", "network", "dane=true").code == 0
        assert made.type("topology", "publish", "-m", "a name server").code == 0
        refused = made.type("topology", "dns", "check", "--each-server")
        assert (refused.code, "no management server runs here" in refused.err) == (1, True)
        made.serve(FE1)
        try:
            socket = made.folder / STATE / f"mgmt.{DOMAIN}{SOCKET_SUFFIX}"
            assert ask_one(socket, ACKNOWLEDGED, 35, version=3, wait_s=30).missing == []
            checked = made.type("topology", "dns", "check", "--each-server", "--json")
            told = made.type("topology", "dns", "check", "--each-server", "--for", "servers")
        finally:
            made.stop()
    assert checked.code == 1
    [report] = [one for one in checked.json if one["server"] == FE1]
    assert report["fault"] == ""
    found = {(one["name"], one["type"]): one["state"] for one in report["findings"]}
    assert found.pop((DOMAIN, "NAPTR")) == "missing"
    tlsa = {key: state for key, state in found.items() if key[1] == "TLSA"}
    assert set(tlsa.values()) == {"unsigned"}, "the record is right, and the zone has no signatures"
    assert {state for key, state in found.items() if key not in tlsa} == {"good"}
    assert told.out.startswith(f"As {FE1} sees DNS:")
    assert "names are right" in told.out


def test_server_without_answers_is_not_good() -> None:
    report = _report(DnsReply(FE1, "fe1 is not linked to management", ()), RECORDS, {(FE1, "A")})
    assert (report.good, report.fault) == (False, "fe1 is not linked to management")


def test_answers_are_compared_for_the_wanted_names_only() -> None:
    seen = [
        DnsSeen(name=DOMAIN, type="TLSA", data=("3 1 1 AB",), dnssec="secure"),
        DnsSeen(name=FE1, type="A", data=("192.0.2.1",), dnssec="secure"),
        DnsSeen(name=FE1, type="AAAA", dnssec="odd"),
        DnsSeen(name=f"fe2.{DOMAIN}", type="A", data=("192.0.2.66",)),
    ]
    report = _report(DnsReply(FE1, "", seen), RECORDS, {(one.name, one.type) for one in RECORDS})
    assert (report.good, [(one.name, one.type) for one in report.findings]) == (True, [(DOMAIN, "TLSA"), (FE1, "A")])
    for number, wrong in ((0, ("3 1 1 cd",)), (1, ("192.0.2.9",))):
        other = [one.model_copy(update={"data": wrong}) if one is seen[number] else one for one in seen]
        assert not _report(DnsReply(FE1, "", other), RECORDS, {(one.name, one.type) for one in RECORDS}).good


def test_record_that_a_server_has_not_asked_for_is_not_good() -> None:
    """A server of an older release asks for no TLSA records."""
    seen = [DnsSeen(name=FE1, type="A", data=("192.0.2.1",), dnssec="secure")]
    report = _report(DnsReply(FE1, "", seen), RECORDS, {(one.name, one.type) for one in RECORDS})
    assert (report.good, len(report.findings)) == (False, 1)
    assert report.fault.startswith(f"it has not asked for 1 of the records, such as {DOMAIN}. TLSA")


@pytest.mark.parametrize("data", [(OURS,), (), ('0 issue "ca.test"',), (OURS, '0 issuewild "ca.test"')])
def test_caa_record_of_one_host_lets_no_other_account_issue_for_it(data: tuple[str, ...]) -> None:
    """RFC 8659 section 3: it counts in place of that of the domain, as each server sees it."""
    records = [DnsRecord(FE1, "A", "192.0.2.1", Purpose.PHONES), DnsRecord(DOMAIN, "CAA", OURS, Purpose.PHONES)]
    seen = [
        DnsSeen(name=FE1, type="A", data=("192.0.2.1",)),
        DnsSeen(name=DOMAIN, type="CAA", data=(OURS,)),
        DnsSeen(name=FE1, type="CAA", data=data),
    ]
    report = _report(DnsReply(FE1, "", seen), records, {(one.name, one.type) for one in records})
    wrong = [(one.name, one.type) for one in report.findings if one.state is not State.GOOD]
    assert (report.good, wrong) == ((True, []) if data in {(OURS,), ()} else (False, [(FE1, "CAA")]))
