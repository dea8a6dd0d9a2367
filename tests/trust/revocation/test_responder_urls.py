"""Which OCSP responders of a certificate may be asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from sipmesh.demo.forge import Forge
from sipmesh.trust.revocation.responder_urls import MOST_RESPONDERS, responder_urls


def named(*urls: str, method: x509.ObjectIdentifier = Access.OCSP) -> x509.Certificate:
    """A certificate that names *urls*."""
    forge = Forge(datetime.now(UTC))
    access = [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for url in urls]
    extra = (x509.AuthorityInformationAccess(access),) if access else ()
    return forge.server(forge.root("a CA"), "a.test", extra=extra).certificate


@pytest.mark.parametrize(
    ("url", "of_others", "of_ours"),
    [
        ("http://ocsp.ca.test/", True, True),
        ("https://ocsp.ca.de:8443/a/b", True, True),
        ("http://192.0.2.1/ocsp", False, True),
        ("http://127.0.0.1./ocsp", False, True),
        ("http://3221225985/", False, True),
        ("http://0xC0.0/", False, True),
        ("http://[2001:db8::1]/", False, False),
        ("http://a@ocsp.ca.test/", False, False),
        ("http://ocsp.ca.test/#x", False, False),
        ("ldap://ocsp.ca.test/", False, False),
        ("file:///etc/passwd", False, False),
        ("http://ocsp.ca.test/" + "x" * 2048, False, False),
    ],
)
def test_only_http_urls_count_and_addresses_only_in_certificates_of_ours(
    url: str, *, of_others: bool, of_ours: bool
) -> None:
    found = named(url)
    assert (bool(responder_urls(found, is_ours=False)), bool(responder_urls(found, is_ours=True))) == (
        of_others,
        of_ours,
    )


def test_certificate_that_names_no_responder_or_only_issuers_has_none() -> None:
    assert responder_urls(named(), is_ours=True) == ()
    assert responder_urls(named("http://ca.test/ca.der", method=Access.CA_ISSUERS), is_ours=True) == ()


def test_a_few_responders_are_read_each_once() -> None:
    many = named("http://a.test/", *(f"http://a{n}.test/" for n in range(2 * MOST_RESPONDERS)))
    assert len(responder_urls(many, is_ours=False)) == MOST_RESPONDERS
    assert responder_urls(named("http://a.test/", "http://a.test/"), is_ours=False) == ("http://a.test/",)
