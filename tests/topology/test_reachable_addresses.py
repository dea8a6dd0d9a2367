from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from sipmesh.topology.reachable_addresses import METADATA, ReachableAddresses, is_special


@pytest.mark.parametrize(
    ("address", "special"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("128.0.0.1", False),
        ("::1", True),
        ("::2", True),
        ("169.254.169.254", True),
        ("169.253.1.1", False),
        ("fe80::1%eth0", True),
        ("224.0.0.1", True),
        ("ff02::1", True),
        ("0.0.0.0", True),  # noqa: S104
        ("0.1.2.3", True),
        ("1.0.0.0", False),
        ("::", True),
        ("240.0.0.1", True),
        ("255.255.255.255", True),
        ("8.8.8.8", False),
        ("2606:4700::1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("64:ff9b:1::a00:1", True),  # RFC 8215
        *((address, True) for address in sorted(map(str, METADATA))),
    ],
)
def test_address_of_this_machine_or_its_link_is_special(address: str, *, special: bool) -> None:
    """Of a private network, the topology decides."""
    assert is_special(address) is special


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "0.1.2.3"])
@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::"])
def test_address_inside_of_another_one_counts(form: str, inner: str) -> None:
    """The other one alone is what a network with a NAT64 gives for each host outside."""
    for address, special in ((inner, True), ("8.8.8.8", False)):
        octets = [int(octet) for octet in address.split(".")]
        pairs = f"{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"
        assert is_special(form.format(pairs if form.startswith("2002") else address)) is special


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        is_special(text)


def nowhere(_address: str) -> bool:
    """This machine has no address."""
    return False


PRIVATE = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "fec0::1", "feff::1", "::ffff:10.1.2.3"]


@pytest.mark.parametrize("address", PRIVATE)
def test_names_of_others_lead_to_private_networks_only_if_the_topology_names_them(address: str) -> None:
    """Names of our own authority lead there too: a server that answers for them is of our organisation."""
    reachable = ReachableAddresses(hosts=frozenset({"pki.example.test"}))
    assert "in a private network" in reachable.refused("partner.test", address, nowhere)
    assert reachable.refused("pki.example.test", address, nowhere) == ""
    inner = address.removeprefix("::ffff:")
    named = ReachableAddresses((ip_network("192.0.2.0/24"), ip_network(inner)))
    assert named.refused("partner.test", address, nowhere) == ""


@pytest.mark.parametrize("address", ["8.8.8.8", "168.63.129.17", "2606:4700::1", "64:ff9b::808:808"])
def test_names_of_others_lead_to_public_addresses_but_not_to_our_own(address: str) -> None:
    reachable = ReachableAddresses(ours=frozenset({ip_address("8.8.4.4")}), hosts=frozenset({"pki.example.test"}))
    assert reachable.refused("partner.test", address, nowhere) == ""
    for host in ("partner.test", "pki.example.test"):
        assert reachable.refused(host, address, lambda _: True)
        assert reachable.refused(host, "8.8.4.4", nowhere)
        assert reachable.refused(host, "::ffff:8.8.4.4", nowhere)
        assert reachable.refused(host, "127.0.0.1", nowhere)


@pytest.mark.parametrize(
    ("host", "address", "refused"),
    [
        ("crl.example.test", "192.0.2.1", False),
        ("crl.example.test", "10.0.0.8", False),
        ("crl.example.test", "127.0.0.1", True),
        ("crl.example.test", "169.254.169.254", True),
        ("crl.other.test", "192.0.2.1", True),
        ("crl.other.test", "10.0.0.8", True),
    ],
)
def test_responder_of_our_ca_may_be_at_one_of_our_servers_and_not_at_special_addresses(
    host: str, address: str, *, refused: bool
) -> None:
    ours = frozenset(map(ip_address, ("192.0.2.1", "127.0.0.1")))
    reachable = ReachableAddresses(ours=ours, responders=frozenset({"crl.example.test"}))
    assert bool(reachable.refused(host, address, nowhere)) is refused
