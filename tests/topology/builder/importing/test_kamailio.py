"""Dispatcher lists and tls.cfg of Kamailio."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.importing.kamailio import read_dispatcher, read_tls
from sipmesh.trust.role import Role

LIST = """\
# setid destination flags priority attributes
1 sip:Fe1.example.test:5061;transport=tls 0 0 weight=50
1 sips:fe2.example.test
2 sip:fe3.example.test 8
2 sip:192.0.2.1;transport=tls
two sip:fe4.example.test
3 mailto:x@example.test
"""
TLS = """\
[server:default]
method = TLSv1.2+
certificate = /etc/kamailio/server.pem
[client:192.0.2.9:5061]
verify_certificate = no
ca_list = /etc/ca/partner.pem   # theirs
crl = "/etc/ca/partner.crl"
server_name = SIP.partner.test
cipher_list = HIGH
[client:192.0.2.8:5061]
verify_certificate = yes
ca_list = other.pem
server_name = other.test
[client:default]
verify_certificate = yes
"""


def test_each_set_is_a_front_end_pool() -> None:
    made = read_dispatcher(LIST.encode())
    assert [(pool.role, pool.name) for pool in made.pools] == [(Role.FRONT_END, "set1"), (Role.FRONT_END, "set2")]
    assert [server.name for pool in made.pools for server in pool.servers] == [
        "fe1.example.test",
        "fe2.example.test",
        "fe3.example.test",
    ]
    assert made.left == [
        "port 5061 of fe1.example.test: servers of ours have port 5062; see: sipmesh topology change",
        "line 4: fe3.example.test is reached without TLS; it is taken, and will be reached by mutual TLS only",
        "line 5: 192.0.2.1 is an IP address, which proves no identity; give the server a name",
        "line 6: it is not `SET DESTINATION`",
        "line 7: 'mailto:x@example.test' is not a SIP URI",
    ]


def test_client_profile_with_name_ca_and_crl_is_a_partner() -> None:
    made = read_tls(TLS.encode())
    assert made.partners == [
        {
            "domains": ["sip.partner.test"],
            "edge": "sip.partner.test",
            "anchors": ["/etc/ca/partner.pem"],
            "crls": ["/etc/ca/partner.crl"],
        }
    ]
    assert made.left == [
        "[server:default]: certificates of our servers come from our own CA: sipmesh ca issue",
        "verify_certificate of [client:192.0.2.9:5061]: every certificate is verified here",
        "cipher_list of [client:192.0.2.9:5061]: it has no counterpart",
        "[client:192.0.2.8:5061] (other.test): it has no crl; to add it: sipmesh partner add other.test --ca FILE --crl FILE",
        "[client:default]: without server_name it does not say who the peer is",
    ]


def test_other_files_are_refused() -> None:
    with pytest.raises(OperatorError, match=r"not a tls\.cfg"):
        read_tls(b"1 sip:a.test\n")
    with pytest.raises(OperatorError, match="more than 2000 destinations"):
        read_dispatcher(b"1 sips:a.test\n" * 2_001)


@pytest.mark.parametrize(
    "content", [b"[server:default]\n" + b"k\n" * 20_000, b"[x]\n" + b"k" * 100_000, b"x" * 100_000 + b"=1\n"]
)
def test_file_of_faulty_lines_is_refused_in_one_short_sentence(content: bytes) -> None:
    """One error with all of them takes a time that grows with the square of their number."""
    with pytest.raises(OperatorError, match=r"not a tls\.cfg") as refused:
        read_tls(content)
    assert len(str(refused.value)) < 500
