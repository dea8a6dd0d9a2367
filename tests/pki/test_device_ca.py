"""The device issuing CA: below the same root, kept apart from servers, and for the SIP domains alone."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.device_ca import device_domains
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.status import CertificateState, newest_devices
from sipmesh.trust.x509.certificate import extension, issued_by
from sipmesh.trust.x509.device_identity import DEVICE_POLICY, DeviceIdentity, device_identity

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

ALICE = DeviceIdentity("sip:alice@example.test", "desk")


@pytest.fixture(name="both")
def _both(ca: EnterpriseCa, noon: datetime) -> EnterpriseCa:
    """The CA of an organisation that has made its device issuing CA later."""
    return ca.certify_devices(["example.test"], noon)


def devices_of(ca: EnterpriseCa) -> x509.Certificate:
    assert ca.devices is not None
    return ca.devices


def test_certificate_of_the_ca_keeps_it_apart(both: EnterpriseCa) -> None:
    devices = devices_of(both)
    assert issued_by(devices, both.root)
    assert extension(devices, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    assert list(extension(devices, x509.ExtendedKeyUsage) or ()) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert [one.policy_identifier for one in extension(devices, x509.CertificatePolicies) or ()] == [DEVICE_POLICY]
    assert extension(devices, x509.NameConstraints) == x509.NameConstraints([x509.DNSName("example.test")], None)
    assert devices.extensions.get_extension_for_class(x509.NameConstraints).critical
    assert devices.public_key() != both.issuing.public_key()
    assert devices.subject != both.issuing.subject


def test_new_organisation_has_it_and_another_has_not(tmp_path: Path, ca: EnterpriseCa, noon: datetime) -> None:
    base = "http://crl.example.test"
    made = EnterpriseCa.create(tmp_path / "new", "Example", noon, crl_base=base, domains=["example.test"])
    assert device_domains(made.devices) == ("example.test",)
    assert made.crls.kinds == (CertificateKind.ROOT, CertificateKind.ISSUING, CertificateKind.DEVICES)
    assert made.crls.due(noon) == ()
    assert (ca.devices, device_domains(ca.devices)) == (None, ())
    with pytest.raises(OperatorError, match="sipmesh ca devices"):
        ca.issue_device(ALICE, noon)


def test_device_gets_the_names_of_its_identity(both: EnterpriseCa, noon: datetime) -> None:
    issued = both.issue_device(ALICE, noon)
    assert device_identity(issued.certificate) == ALICE
    assert issued_by(issued.certificate, devices_of(both))
    assert list(extension(issued.certificate, x509.ExtendedKeyUsage) or ()) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    bundle = load_pkcs12(issued.pkcs12("desk", "a secret"), b"a secret")
    assert bundle.cert is not None
    assert bundle.cert.certificate == issued.certificate
    assert [one.certificate for one in bundle.additional_certs] == [both.devices]
    assert b"PRIVATE KEY" in issued.pem_key()


def test_key_of_a_device_stays_there(both: EnterpriseCa, noon: datetime) -> None:
    key = files.new_key()
    certified = both.certify_device(ALICE, key.public_key(), noon)
    assert certified.certificate.public_key() == key.public_key()
    assert x509.load_pem_x509_certificates(certified.chain) == [certified.certificate, devices_of(both)]
    assert isinstance(both.issue_device(ALICE, noon, rsa=True).certificate.public_key(), object)


@pytest.mark.parametrize(
    ("user", "device", "fault"),
    [
        ("sip:alice@evil.test", "desk", "permits only DNS:example.test"),
        ("sip:alice@example.test", "De sk", "does not name one device"),
        ("sip:alice", "desk", "does not name one device"),
        ("sip:fe1.example.test", "desk", "does not name one device"),
    ],
)
def test_other_names_are_not_signed(both: EnterpriseCa, noon: datetime, user: str, device: str, fault: str) -> None:
    before = len(both.certificates)
    with pytest.raises(LintRefusedError) as refused:
        both.issue_device(DeviceIdentity(user, device), noon)
    assert fault in str(refused.value)
    assert len(both.certificates) == before


def test_ledger_knows_ca_and_device_and_finds_changed_rows(both: EnterpriseCa, noon: datetime) -> None:
    both.issue_device(ALICE, noon)
    *_, authority, device = both.certificates
    assert (authority.kind, authority.issuer) == ("devices", "root")
    assert (device.kind, device.issuer, device.names) == ("device", "devices", ("alice@example.test", "desk"))
    assert both.records.changed_rows() == ()
    assert both.records.is_as_issued(device)
    assert [one.record.kind for one in both.status(noon).devices] == ["device"]


def test_revoked_device_is_in_the_crl_of_its_ca_alone(both: EnterpriseCa, noon: datetime) -> None:
    desk, mobile = both.issue_device(ALICE, noon), both.issue_device(DeviceIdentity(ALICE.user, "mobile"), noon)
    both.revoke(desk.certificate.serial_number, Reason.KEY_COMPROMISE, noon)
    listed = both.crls.in_force(CertificateKind.DEVICES)
    assert listed.lists(desk.certificate.serial_number)
    assert not listed.lists(mobile.certificate.serial_number)
    assert not both.crls.in_force().lists(desk.certificate.serial_number)
    crl = x509.load_pem_x509_crl((both.folder / "devices.crl").read_bytes())
    key = devices_of(both).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(key)
    assert [one.names[1] for one in newest_devices(both.certificates, noon)] == ["mobile"]


def test_new_certificate_of_the_ca_has_further_domains_and_the_same_key(both: EnterpriseCa, noon: datetime) -> None:
    issued = both.issue_device(ALICE, noon)
    wider = both.certify_devices(["example.test", "Example.ORG"], noon)
    assert device_domains(wider.devices) == ("example.test", "example.org")
    assert issued_by(issued.certificate, devices_of(wider))
    assert wider.issue_device(DeviceIdentity("sip:bob@example.org", "desk"), noon)


def test_revoked_ca_issues_nothing(both: EnterpriseCa, noon: datetime) -> None:
    both.revoke(devices_of(both).serial_number, Reason.KEY_COMPROMISE, noon)
    with pytest.raises(OperatorError, match="device issuing CA cannot issue"):
        both.issue_device(ALICE, noon)
    assert both.issue_operator("ada", noon)


def test_expired_device_may_be_replaced_and_the_newest_counts(both: EnterpriseCa, noon: datetime) -> None:
    both.issue_device(ALICE, noon, timedelta(days=1))
    later = noon + timedelta(days=2)
    newer = both.issue_device(ALICE, later)
    (found,) = newest_devices(both.certificates, later)
    assert found.serial == newer.certificate.serial_number
    assert [one.state for one in both.status(later).devices] == [CertificateState.EXPIRED, CertificateState.VALID]


def test_next_generation_has_one_for_the_same_domains(both: EnterpriseCa, noon: datetime) -> None:
    made = CaGenerations(both.folder).prepare(noon)
    assert device_domains(made.devices) == ("example.test",)
    assert issued_by(devices_of(made), made.root)
    assert devices_of(made).subject != devices_of(both).subject


def test_folder_without_its_key_is_incomplete(both: EnterpriseCa) -> None:
    (both.folder / "devices.key").unlink()
    with pytest.raises(OperatorError) as refused:
        EnterpriseCa.open(both.folder)
    assert [problem.file.name for problem in refused.value.problems] == ["devices.key"]


def test_root_that_is_elsewhere_certifies_it_by_a_request(ca: EnterpriseCa, tmp_path: Path, noon: datetime) -> None:
    key = files.read_key(ca.folder / "root.key")
    shutil.move(ca.folder / "root.key", tmp_path / "root.key")
    with pytest.raises(OperatorError):
        ca.certify_devices(["example.test"], noon)
    asked = ca.offline_root.request_devices(["example.test"], noon)
    assert "issues for devices of users" in asked.summary[0]
    ca.offline_root.accept(asked.signed(ca.root, key), None)
    opened = EnterpriseCa.open(ca.folder)
    assert opened.crls.reissue(noon) == (ca.folder / "devices.crl",)
    assert device_identity(opened.issue_device(ALICE, noon).certificate) == ALICE
