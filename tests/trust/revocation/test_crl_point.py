"""The CRL that a certificate names, and the URLs that are allowed."""

from __future__ import annotations

import pytest
from cryptography import x509

from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_point import CrlPoint, is_allowed, point_of
from trust.crls import CA, FORGE, distribution_point, load

URL, MIRROR = "http://crl.test/1.crl", "ldap://crl.test/cn=1"


def leaf(*points: x509.DistributionPoint) -> x509.Certificate:
    return FORGE.server(CA, "fe1.example.test", extra=(x509.CRLDistributionPoints(points),)).certificate


def point(*urls: str, **changes: object) -> x509.DistributionPoint:
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    given: dict[str, object] = {"relative_name": None, "reasons": None, "crl_issuer": None}
    return x509.DistributionPoint(names, **(given | changes))  # type: ignore[arg-type]


def found(*points: x509.DistributionPoint, hosts: tuple[str, ...] = ("crl.test",)) -> CrlPoint | None:
    return point_of(leaf(*points), CA.certificate, hosts)


def test_first_url_at_an_allowed_host_is_the_point_of_a_certificate() -> None:
    got = found(point("http://other.test/1.crl"), point(MIRROR, URL))
    assert got is not None
    assert (got.url, got.names, got.issuer) == (URL, (MIRROR, URL), CA.certificate.subject.public_bytes())


def test_point_of_an_indirect_or_partial_crl_is_left_out() -> None:
    assert found(point(URL, reasons=frozenset({x509.ReasonFlags.key_compromise}))) is None
    assert found(point(URL, crl_issuer=[x509.DirectoryName(CA.certificate.subject)])) is None
    assert found(point(*(f"http://crl.test/{n}.crl" for n in range(9)))) is None
    assert found(point(URL)) is not None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://crl.test/1.crl", True),
        ("HTTP://crl.test/1.crl", False),
        ("http://CRL.test/1.crl", True),
        ("http://crl.test:80/1.crl", True),
        ("https://crl.test/1.crl", True),
        ("https://crl.test:80/1.crl", False),
        ("http://crl.test:8080/1.crl", False),
        ("http://crl.test:99999/1.crl", False),
        ("http://ported.test:8080/1.crl", True),
        ("http://ported.test/1.crl", False),
        ("http://crl.test./1.crl", False),
        ("http://r10.c.test/1.crl", True),
        ("http://c.test/1.crl", False),
        ("http://a.r10.c.test/1.crl", False),
        ("http://r10.c.test:8080/1.crl", False),
        ("http://.c.test/1.crl", True),
        ("http://crl.test", False),
        ("http://crl.test@evil.test/1.crl", False),
        ("http://evil.test/http://crl.test/", False),
        ("http://evil.test#crl.test/", False),
        ("http://crl.test/\n", False),
        ("http://crl.test/é", False),
        ("http://crl.test/" + "a" * 2048, False),
        ("file://crl.test/etc/passwd", False),
        ("//crl.test/1.crl", False),
    ],
)
def test_url_is_allowed_by_scheme_host_and_port(url: str, *, allowed: bool) -> None:
    assert is_allowed(url, {"crl.test", "ported.test:8080", "*.c.test"}) is allowed


def test_crl_is_bound_to_its_point() -> None:
    here = found(point(MIRROR, URL))
    assert here is not None
    for names in ([URL], [MIRROR], [URL, "http://crl.test/other"]):
        crl = load(extensions=distribution_point(full_name=[x509.UniformResourceIdentifier(name) for name in names]))
        here.must_be_of(crl)
    here.must_be_of(load())  # one for all certificates
    other = load(extensions=distribution_point(full_name=[x509.UniformResourceIdentifier("http://crl.test/2.crl")]))
    with pytest.raises(UnusableListError, match="RFC 5280"):
        here.must_be_of(other)
    with pytest.raises(UnusableListError, match="delta"):
        here.must_be_of(load(extensions=((x509.DeltaCRLIndicator(1), True),)))
