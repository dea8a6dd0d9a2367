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
from sipmesh.topology.builder.dns_records import DnsRecord, Purpose

DOMAIN = "example.com"
FE1 = f"fe1.{DOMAIN}"
RECORDS = [DnsRecord(FE1, "A", "192.0.2.1", Purpose.PHONES), DnsRecord(DOMAIN, "TLSA", "3 1 1 ab", Purpose.PHONES)]


@pytest.mark.peer("knot")
def test_front_end_sees_a_missing_record_and_the_others_are_right(
    organisation_model: Organisation, tmp_path: Path
) -> None:
    """The name server is that of the topology: the machine that types the command asks nobody."""
    made = organisation_model.copied(tmp_path / "o")
    zone = [line for line in zone_files(made)[DOMAIN] if "NAPTR" not in line]
    with knot(tmp_path, {DOMAIN: zone}) as port:
        assert made.type("topology", "change", "network", f"dns.servers+={HOST}:{port}").code == 0
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
    assert set(found.values()) == {"good"}
    assert told.out.startswith(f"As {FE1} sees DNS:")
    assert "names are right" in told.out


def test_server_without_answers_is_not_good() -> None:
    report = _report(DnsReply(FE1, "fe1 is not linked to management", ()), RECORDS, {(FE1, "A")})
    assert (report.good, report.fault) == (False, "fe1 is not linked to management")


def test_answers_are_compared_for_the_wanted_names_only() -> None:
    """A server asks for no TLSA records: they are compared from the machine of the command."""
    seen = [
        DnsSeen(name=FE1, type="A", data=("192.0.2.1",), dnssec="secure"),
        DnsSeen(name=FE1, type="AAAA", dnssec="odd"),
        DnsSeen(name=f"fe2.{DOMAIN}", type="A", data=("192.0.2.66",)),
    ]
    report = _report(DnsReply(FE1, "", seen), RECORDS, {(one.name, one.type) for one in RECORDS})
    assert (report.good, [(one.name, one.type) for one in report.findings]) == (True, [(FE1, "A")])
    seen[0] = DnsSeen(name=FE1, type="A", data=("192.0.2.9",))
    assert not _report(DnsReply(FE1, "", seen), RECORDS, {(FE1, "A")}).good
