"""The one way that every certificate takes."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta

import pytest

from sipmesh.demo.forge import Forge, KeyKind
from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.files import new_key
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.issue import issue_certificate, own_key
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.ledger import Ledger
from sipmesh.pki.status import CertificateState
from sipmesh.trust.role import Role
from sipmesh.trust.x509.sip_identity import identities

NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_the_longest_lifetime_is_what_public_cas_may_give(ca: EnterpriseCa, noon: datetime) -> None:
    longest = timedelta(days=397) - timedelta(minutes=5)
    assert ca.issue(NAMES, Role.EDGE, noon, longest)
    with pytest.raises(LintRefusedError, match="longer than 397"):
        ca.issue(NAMES, Role.EDGE, noon, longest + timedelta(seconds=1))


def test_no_certificate_outlives_its_issuer(ca: EnterpriseCa, noon: datetime) -> None:
    late = noon + timedelta(days=1826 - 30)
    assert ca.issue(NAMES, Role.EDGE, late)
    with pytest.raises(LintRefusedError, match="exceeds its issuer's"):
        ca.issue(NAMES, Role.EDGE, late + timedelta(seconds=1))


def test_a_very_long_name_has_no_common_name(ca: EnterpriseCa, noon: datetime) -> None:
    """RFC 5280 allows 64 characters there, and no check of ours reads it."""
    name = f"{'a' * 60}.example.test"
    issued = ca.issue([name], Role.EDGE, noon)
    assert issued.certificate.subject.rfc4514_string() == "O=Example"
    assert identities(issued.certificate).usable == (name,)


def test_each_certificate_has_a_new_key(ca: EnterpriseCa, noon: datetime) -> None:
    one, other = (ca.issue(NAMES, Role.FRONT_END, noon) for _ in range(2))
    assert one.key != other.key
    assert one.certificate.serial_number != other.certificate.serial_number


def test_ca_key_that_others_can_read_is_refused(ca: EnterpriseCa, noon: datetime) -> None:
    (ca.folder / "issuing.key").chmod(0o640)
    with pytest.raises(OperatorError, match="chmod 600"):
        ca.issue(NAMES, Role.FRONT_END, noon)


def test_ca_key_of_another_certificate_is_refused(ca: EnterpriseCa, noon: datetime) -> None:
    shutil.copy(ca.folder / "root.key", ca.folder / "issuing.key")
    with pytest.raises(OperatorError, match="not the key of the issuing certificate"):
        ca.issue(NAMES, Role.FRONT_END, noon)
    assert ca.status(noon).servers[-1].state is CertificateState.ABANDONED


def test_ca_with_another_kind_of_key_issues_nothing(ca: EnterpriseCa, noon: datetime) -> None:
    """All our keys are ECDSA: another one is a bug of ours, and not a journal entry."""
    rsa_ca = Forge(noon).root("RSA", key=KeyKind.RSA_2048).certificate
    key = new_key().public_key()
    subject = profiles.server_name("Example", "x.test")
    wish = CertificateProfile(CertificateKind.SERVER, subject, ("x.test",), key, noon, noon + timedelta(days=1))
    signer = CaSigner(CertificateKind.ISSUING, ca.folder / "issuing.key", ca.issuing)
    before = ca.certificates
    with pytest.raises(LocalError, match="ECDSA"):
        issue_certificate(wish, signer, (rsa_ca,), Ledger(ca.folder), noon)
    assert ca.certificates == before
    with pytest.raises(LocalError, match="ECDSA"):
        own_key(rsa_ca)
    assert own_key(ca.issuing) == ca.issuing.public_key()
