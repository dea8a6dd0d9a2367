"""Records as a zone file and as a script for nsupdate."""

from __future__ import annotations

import dns.zone

from sipmesh.topology.builder.dns_records import DnsRecord, Purpose, dns_records
from sipmesh.topology.builder.zone_text import bind_text, nsupdate_text
from topology.world import Place


def test_zone_file_is_read_by_another_reader(place: Place) -> None:
    topology = place.load().topology
    lines = bind_text(dns_records(topology), topology)
    assert lines[0] == "; zone example.test"
    assert "; fe3.example.test. needs an A or AAAA record: the topology has no address for it" in lines
    head = ["$ORIGIN example.test.", "@ 0 IN SOA ns host 1 2 3 4 5", "@ 0 IN NS ns", "ns 0 IN A 127.0.0.1"]
    zone = dns.zone.from_text("\n".join([*head, *lines]) + "\n", "example.test", relativize=False)
    targets = sorted(str(record.target) for record in zone.find_rdataset("_sips._tcp.example.test.", "SRV"))
    assert targets == ["fe1.example.test.", "fe2.example.test.", "fe3.example.test."]


def test_script_replaces_each_name_and_type_zone_by_zone(place: Place) -> None:
    records = [
        DnsRecord("a.example.test", "A", "192.0.2.1", Purpose.PHONES),
        DnsRecord("a.example.test", "A", "192.0.2.2", Purpose.PHONES),
        DnsRecord("b.other.test", "A", "192.0.2.3", Purpose.PHONES),
        DnsRecord("c.third.test", "A", "", Purpose.PHONES),
    ]
    assert nsupdate_text(records, place.load().topology) == [
        "zone example.test.",
        "update delete a.example.test. A",
        "update add a.example.test. 3600 A 192.0.2.1",
        "update add a.example.test. 3600 A 192.0.2.2",
        "send",
        "zone other.test.",
        "update delete b.other.test. A",
        "update add b.other.test. 3600 A 192.0.2.3",
        "send",
    ]
    assert bind_text([], place.load().topology) == []
