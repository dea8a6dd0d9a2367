"""A revocation is in the CRL that is published at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issued import Issued
from sipmesh.trust.role import Role
from support.crls import published

SAN = x509.SubjectAlternativeName
NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_revoking_publishes_a_crl_with_only_that_serial(ca: EnterpriseCa, noon: datetime) -> None:
    one, other = (ca.issue(NAMES, Role.FRONT_END, noon).certificate for _ in range(2))
    record = ca.revoke(one.serial_number, Reason.SUPERSEDED, noon)
    assert (record.revoked_at, record.reason) == (noon, "superseded")
    held = published(ca)
    assert held.number == 2
    assert held.serials == {one.serial_number}
    assert other.serial_number not in held.serials


def test_revoking_twice_leaves_the_first_revocation(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    serial = issued.certificate.serial_number
    first = ca.revoke(serial, Reason.SUPERSEDED, noon)
    assert ca.revoke(serial, Reason.KEY_COMPROMISE, noon + timedelta(hours=1)) == first


def test_what_we_did_not_issue_cannot_be_revoked(ca: EnterpriseCa, noon: datetime) -> None:
    with pytest.raises(OperatorError, match="has not issued that certificate"):
        ca.revoke(0xBAD, Reason.UNSPECIFIED, noon)


def test_a_root_cannot_be_revoked_but_the_issuing_ca_can(ca: EnterpriseCa, noon: datetime) -> None:
    with pytest.raises(OperatorError, match="cannot be revoked"):
        ca.revoke(ca.root.serial_number, Reason.KEY_COMPROMISE, noon)
    ca.revoke(ca.issuing.serial_number, Reason.KEY_COMPROMISE, noon)
    assert published(ca, CertificateKind.ROOT).serials == {ca.issuing.serial_number}
    with pytest.raises(OperatorError, match="cannot issue"):
        ca.issue(NAMES, Role.FRONT_END, noon)


def test_concurrent_revocations_are_all_published(ca: EnterpriseCa, noon: datetime) -> None:
    """Commands and running servers use one CA: no revocation is lost to an older list."""
    serials = [ca.issue(NAMES, Role.FRONT_END, noon).certificate.serial_number for _ in range(6)]
    with ThreadPoolExecutor(6) as hands:
        list(hands.map(lambda s: EnterpriseCa.open(ca.folder).revoke(s, Reason.SUPERSEDED, noon), serials))
    assert published(ca).serials == set(serials)
    assert published(ca).number == 7


def test_all_certificates_of_a_server_are_revoked_at_once(ca: EnterpriseCa, noon: datetime) -> None:
    """Those of its document signer too, and no others."""
    serials = {ca.issue(("fe1.example.test",), Role.FRONT_END, noon).certificate.serial_number for _ in range(2)}
    serials.add(ca.issue_signer("fe1.example.test", noon).certificate.serial_number)
    ca.issue(("fe2.example.test",), Role.FRONT_END, noon)
    revoked = ca.revoke_servers({"fe1.example.test"}, Reason.SUPERSEDED, noon)
    assert revoked == dict.fromkeys(serials, "fe1.example.test")
    assert ca.revoke_servers({"fe1.example.test"}, Reason.SUPERSEDED, noon) == {}
    crl = x509.load_pem_x509_crl((ca.folder / "issuing.crl").read_bytes())
    assert {entry.serial_number for entry in crl} == serials


def test_certificate_for_clients_is_revoked_with_the_others_of_its_server(ca: EnterpriseCa, noon: datetime) -> None:
    made = ca.issue_for_clients(NAMES, noon, rsa=False)
    assert made.certificate.serial_number in ca.revoke_servers({NAMES[0]}, Reason.KEY_COMPROMISE, noon)
