"""A root whose key is kept elsewhere: it signs what it is shown, and only that comes back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.keys.algorithm import OwnKey
from sipmesh.pki.offline.request import OfflineKind, OfflineRequest
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa


@pytest.fixture(name="away")
def _away(ca: EnterpriseCa, tmp_path: Path) -> Path:
    """The root's key is here, and not where the CA is."""
    folder = tmp_path / "safe"
    folder.mkdir()
    shutil.move(ca.folder / "root.key", folder / "root.key")
    return folder


@pytest.fixture(name="key")
def _key(away: Path) -> OwnKey:
    return files.read_key(away / "root.key")


def carried(errand: OfflineRequest, where: Path) -> OfflineRequest:
    return OfflineRequest.read(errand.encode(), where)


def test_crl_is_requested_signed_and_installed(ca: EnterpriseCa, key: OwnKey, noon: datetime) -> None:
    with pytest.raises(OperatorError, match="is on another machine"):
        ca.revoke(ca.issuing.serial_number, Reason.KEY_COMPROMISE, noon)
    errand = carried(ca.offline_root.request_crl(noon + timedelta(days=1)), ca.folder)
    assert f"  revoked: serial {ca.issuing.serial_number:x}" in errand.summary
    file = ca.offline_root.accept(carried(errand.signed(ca.root, key), ca.folder), None)
    made = x509.load_pem_x509_crl(file.read_bytes())
    assert made.get_revoked_certificate_by_serial_number(ca.issuing.serial_number) is not None
    assert made.is_signature_valid(key.public_key())
    assert not list(ca.folder.glob("errand-*"))


def test_issuing_ca_works_without_the_roots_key(ca: EnterpriseCa, away: Path, noon: datetime) -> None:
    assert away.exists()
    issued = ca.issue(("fe1.example.test",), Role.FRONT_END, noon)
    ca.revoke(issued.certificate.serial_number, Reason.UNSPECIFIED, noon)
    assert ca.crls.reissue(noon + timedelta(days=2))[0].name == "issuing.crl"


def test_cross_certificate_is_requested_signed_and_installed(ca: EnterpriseCa, key: OwnKey, noon: datetime) -> None:
    generations = CaGenerations(ca.folder)
    coming = generations.prepare(noon)
    with pytest.raises(OperatorError, match="has not signed the cross-certificate"):
        generations.activate()
    errand = carried(ca.offline_root.request_cross(coming, noon), ca.folder)
    assert "Example Issuing CA 2" in errand.summary[0]
    ca.offline_root.accept(errand.signed(ca.root, key), generations.next)
    generations.activate()
    leaf, above = x509.load_pem_x509_certificates(
        generations.current.issue(("fe1.example.test",), Role.FRONT_END, noon).chain
    )
    leaf.verify_directly_issued_by(above)
    above.verify_directly_issued_by(ca.root)
    serials = {record.serial for record in ca.certificates if record.der is not None}
    assert above.serial_number in serials


def test_root_refuses_requests_for_another_root(ca: EnterpriseCa, key: OwnKey, tmp_path: Path, noon: datetime) -> None:
    other = CaGenerations(ca.folder).prepare(noon)
    theirs = other.offline_root.request_crl(noon)
    with pytest.raises(OperatorError, match="the root here is another"):
        theirs.signed(ca.root, key)
    with pytest.raises(OperatorError, match="the root here is another"):
        ca.offline_root.request_crl(noon).signed(ca.root, files.read_key(other.folder / "root.key"))
    assert ca.offline_root.request_crl(noon).signed(ca.root, key).what is OfflineKind.LIST
    with pytest.raises(OperatorError, match="not a readable signing request"):
        OfflineRequest.read(b"{}", tmp_path / "errand.json")


def test_only_the_open_request_is_accepted(ca: EnterpriseCa, key: OwnKey, noon: datetime) -> None:
    """Not an older errand, not the unsigned one, not an errand that another key has signed."""
    older = ca.offline_root.request_crl(noon).signed(ca.root, key)
    newer = ca.offline_root.request_crl(noon + timedelta(days=1))
    before = (ca.folder / "root.crl").read_bytes()
    with pytest.raises(OperatorError, match="differs from the signing request"):
        ca.offline_root.accept(older, None)
    with pytest.raises(OperatorError, match="the root has not signed this"):
        ca.offline_root.accept(newer, None)
    with pytest.raises(OperatorError, match="differs from the signing request"):
        ca.offline_root.accept(replace(newer.signed(ca.root, key), root="00"), None)
    assert (ca.folder / "root.crl").read_bytes() == before
    ca.offline_root.accept(newer.signed(ca.root, key), None)
    assert (ca.folder / "root.crl").read_bytes() != before
    with pytest.raises(OperatorError, match="no open signing request"):
        ca.offline_root.accept(newer.signed(ca.root, key), None)


def test_crl_numbers_increase_if_a_request_is_lost(ca: EnterpriseCa, key: OwnKey, noon: datetime) -> None:
    def number(errand: OfflineRequest) -> int:
        return errand.list().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    first = number(ca.offline_root.request_crl(noon))
    second = ca.offline_root.request_crl(noon)
    assert number(second) == first + 1
    ca.offline_root.accept(second.signed(ca.root, key), None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "basic constraints are not those of a issuing certificate"),
        (x509.BasicConstraints(ca=True, path_length=1), "basic constraints are not those of a issuing certificate"),
        (x509.NameConstraints([x509.DNSName("example.test")], None), "extension 2.5.29.30 is not of the profile"),
    ],
)
def test_root_signs_no_ca_that_the_profile_does_not_allow(
    ca: EnterpriseCa, key: OwnKey, noon: datetime, changed: x509.ExtensionType, why: str
) -> None:
    """An attacker on the management host writes the signing request, and the owner of the key reads its summary only."""
    coming = CaGenerations(ca.folder).prepare(noon)
    asked = ca.offline_root.request_cross(coming, noon)
    made = asked.certificate()
    found = {one.oid: (one.value, one.critical) for one in made.extensions} | {changed.oid: (changed, True)}
    wanted = x509.CertificateBuilder(
        made.issuer, made.subject, made.public_key(), 1 << 100, made.not_valid_before_utc, made.not_valid_after_utc
    )
    for value, critical in found.values():
        wanted = wanted.add_extension(value, critical=critical)
    drafted = wanted.sign(files.new_key(), SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(LintRefusedError, match=why):
        replace(asked, body=drafted).signed(ca.root, key)
    assert asked.signed(ca.root, key).certificate().tbs_certificate_bytes == made.tbs_certificate_bytes


def test_root_signs_no_crl_that_is_valid_for_years(ca: EnterpriseCa, key: OwnKey, noon: datetime) -> None:
    """With such a CRL, no later revocation of the issuing CA is ever missed."""
    asked = ca.offline_root.request_crl(noon)
    crl = asked.list()
    wanted = x509.CertificateRevocationListBuilder(crl.issuer, noon, noon + timedelta(days=3650))
    for one in crl.extensions:
        wanted = wanted.add_extension(one.value, critical=one.critical)
    drafted = wanted.sign(files.new_key(), SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(LintRefusedError, match="it is valid for 3650 days"):
        replace(asked, body=drafted).signed(ca.root, key)
    assert asked.signed(ca.root, key).list().tbs_certlist_bytes == crl.tbs_certlist_bytes
