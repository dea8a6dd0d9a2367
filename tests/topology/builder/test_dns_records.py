"""The DNS records of a topology."""

from __future__ import annotations

from sipmesh.topology.builder.dns_records import DnsRecord, Purpose, dns_records, zone_of
from topology.world import Place


def lines(place: Place, purpose: Purpose) -> list[str]:
    return [str(record) for record in dns_records(place.load().topology) if record.purpose is purpose]


def test_phones_find_each_front_end_the_default_home_pool_first(place: Place) -> None:
    assert lines(place, Purpose.PHONES) == [
        'example.test. NAPTR 10 50 "s" "SIPS+D2T" "" _sips._tcp.example.test.',
        "_sips._tcp.example.test. SRV 1 1 5061 fe1.example.test.",
        "_sips._tcp.example.test. SRV 1 1 5061 fe2.example.test.",
        "_sips._tcp.example.test. SRV 2 1 5061 fe3.example.test.",
        "fe1.example.test. A 127.0.0.1",
        "fe2.example.test. A 127.0.0.2",
        "fe3.example.test. A (an address that the topology does not have)",
    ]


def test_phones_try_the_servers_of_a_pool_at_its_own_site_first(place: Place) -> None:
    place.spoil(
        ("sip_domains:", "sites: [berlin, paris]\nsip_domains:"),
        ("  - name: pool1.example.test\n", "  - name: pool1.example.test\n    site: paris\n"),
        ("{name: fe2.example.test,", "{name: fe2.example.test, site: berlin,"),
    )
    priorities = [line.split()[2:] for line in lines(place, Purpose.PHONES) if " SRV " in line]
    assert priorities == [
        ["1", "1", "5061", "fe1.example.test."],
        ["2", "1", "5061", "fe2.example.test."],
        ["3", "1", "5061", "fe3.example.test."],
    ]


def test_phones_try_the_backup_pool_of_the_default_home_pool_before_other_pools(place: Place) -> None:
    place.spoil(
        (
            "  - name: pool2.example.test\n",
            "  - {name: pool9.example.test, role: front-end, servers: [fe9.example.test]}\n  - name: pool2.example.test\n",
        ),
        ("  - name: pool1.example.test\n", "  - name: pool1.example.test\n    backup_pool: pool2.example.test\n"),
    )
    priorities = {line.split()[5]: line.split()[2] for line in lines(place, Purpose.PHONES) if " SRV " in line}
    assert [priorities[f"fe{n}.example.test."] for n in (1, 2, 3, 9)] == ["1", "1", "2", "3"]


def test_partners_find_the_edge_by_the_name_of_its_pool(place: Place) -> None:
    place.spoil(
        ("[example.test]  # ours", "[example.test, example.net]"),
        (
            "servers: [edge1.example.test]",
            (
                "servers: [{name: edge1.example.test, address: 192.0.2.1, outside: {address: 2001:db8::1}},"
                " {name: edge2.example.test, address: 192.0.2.2, ports: {partner: 5067}}]"
            ),
        ),
    )
    assert lines(place, Purpose.PARTNERS) == [
        "_sipfederationtls._tcp.example.test. SRV 1 1 5061 sip.example.test.",
        "_sipfederationtls._tcp.example.test. SRV 1 1 5067 sip.example.test.",
        "_sipfederationtls._tcp.example.net. SRV 1 1 5061 sip.example.test.",
        "_sipfederationtls._tcp.example.net. SRV 1 1 5067 sip.example.test.",
        "sip.example.test. AAAA 2001:db8::1",
        "sip.example.test. A 192.0.2.2",
    ]


def test_servers_need_addresses_only(place: Place) -> None:
    names = [record.name for record in dns_records(place.load().topology) if record.purpose is Purpose.SERVERS]
    assert names == ["edge1.example.test", "bot.example.test"]


def test_zone_is_the_longest_sip_domain_above_a_name(place: Place) -> None:
    topology = place.load().topology
    assert zone_of("_sips._tcp.example.test", topology) == zone_of("example.test", topology) == "example.test"
    assert zone_of("fe1.other.test", topology) == "other.test"
    assert zone_of("test", topology) == "test"
    assert str(DnsRecord("a.test", "A", "192.0.2.1", Purpose.SERVERS)) == "a.test. A 192.0.2.1"


def test_each_port_that_srv_names_has_its_tlsa_records(place: Place) -> None:
    """The records of a port stand once, for all SIP domains; a port without a certificate has none."""
    place.spoil(("[example.test]  # ours", "[example.test, example.net]"))
    tlsa = {("fe1.example.test", 5061): ["2 1 1 aa", "2 1 1 bb"], ("sip.example.test", 5061): ["2 1 1 aa"]}
    records = dns_records(place.load().topology, tlsa)
    assert [(str(record), record.purpose) for record in records if record.type == "TLSA"] == [
        ("_5061._tcp.fe1.example.test. TLSA 2 1 1 aa", Purpose.PHONES),
        ("_5061._tcp.fe1.example.test. TLSA 2 1 1 bb", Purpose.PHONES),
        ("_5061._tcp.sip.example.test. TLSA 2 1 1 aa", Purpose.PARTNERS),
    ]
    assert zone_of("_5061._tcp.fe1.other.test", place.load().topology) == "other.test"


def test_each_sip_domain_has_its_caa_records_and_each_host_below_none(place: Place) -> None:
    """A record counts for all names below it (RFC 8659 3)."""
    place.spoil(("federation:\n", "caa: [{issuer: ca.test, account: 'https://ca.test/acct/1'}]\nfederation:\n"))
    place.spoil(("servers: [fe3.example.test]", "servers: [fe3.other.test]"))
    records = [record for record in dns_records(place.load().topology) if record.type == "CAA"]
    data = ['0 issue "ca.test; accounturi=https://ca.test/acct/1"', '0 issuewild ";"']
    assert [(record.name, record.data) for record in records] == [
        (name, each) for name in ("example.test", "fe3.other.test") for each in data
    ]
    assert {record.purpose for record in records} == {Purpose.CAS}


def test_without_accounts_there_is_no_caa_record(place: Place) -> None:
    assert "CAA" not in {record.type for record in dns_records(place.load().topology)}
