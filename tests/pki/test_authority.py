"""The enterprise CA from creation to revocation, and through crashes."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.issued import Issued
from sipmesh.pki.status import CertificateState
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from sipmesh.trust.x509.sip_identity import identities
from support.crls import published

if TYPE_CHECKING:
    from pathlib import Path

SAN = x509.SubjectAlternativeName
NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_a_ca_is_never_overwritten(ca: EnterpriseCa, noon: datetime) -> None:
    before = (ca.folder / "root.pem").read_bytes()
    with pytest.raises(OperatorError, match="does not overwrite"):
        EnterpriseCa.create(ca.folder, "Example", noon, crl_base="http://crl.example.test")
    assert (ca.folder / "root.pem").read_bytes() == before


def test_an_empty_folder_may_become_a_ca(tmp_path: Path, noon: datetime) -> None:
    (tmp_path / "ca").mkdir()
    assert EnterpriseCa.create(tmp_path / "ca", "Example", noon, crl_base="http://crl.example.test").organisation


def test_all_missing_files_are_reported_together(ca: EnterpriseCa) -> None:
    for name in ("root.pem", "issuing.key", "ledger.db"):
        (ca.folder / name).unlink()
    (ca.folder / "issuing.pem").write_bytes(b"nonsense")
    with pytest.raises(OperatorError) as refused:
        EnterpriseCa.open(ca.folder)
    told = [problem.file.name for problem in refused.value.problems]
    assert told == ["root.pem", "issuing.pem", "ledger.db", "issuing.key"]


def test_server_certificate_has_each_name_as_dns_name_and_sip_uri(issued: Issued) -> None:
    assert identities(issued.certificate).usable == NAMES
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(NAMES)


def test_a_server_certificate_lives_thirty_days_and_begins_a_little_earlier(issued: Issued, noon: datetime) -> None:
    assert issued.certificate.not_valid_before_utc == noon - timedelta(minutes=5)
    assert issued.certificate.not_valid_after_utc == noon + timedelta(days=30)


def test_server_certificate_has_a_crl_distribution_point(issued: Issued) -> None:
    (point,) = issued.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [name.value for name in point.full_name or ()] == ["http://crl.example.test/issuing.crl"]


def test_a_name_asked_for_twice_or_in_capitals_is_one_name(ca: EnterpriseCa, noon: datetime) -> None:
    issued = ca.issue(["P1.a.test", "p1.a.test", "a.test"], Role.FRONT_END, noon)
    assert identities(issued.certificate).usable == ("p1.a.test", "a.test")


@pytest.mark.parametrize(
    "name", ["*.example.test", "10.0.0.1", "fe1", "alice@example.test", "", "fe1.example.test:5061"]
)
def test_invalid_host_name_is_never_certified(ca: EnterpriseCa, noon: datetime, name: str) -> None:
    before = ca.certificates
    with pytest.raises(LintRefusedError, match="not a full host name"):
        ca.issue([name], Role.FRONT_END, noon)
    assert ca.certificates == before, "refused before the journal"


def test_a_signer_is_for_documents_and_has_no_name_that_a_link_would_count(ca: EnterpriseCa, noon: datetime) -> None:
    signer = ca.issue_signer("MG1.example.test", noon)
    usages = signer.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    names = signer.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(usages) == [DOCUMENT_SIGNING]
    assert list(names) == [x509.DNSName("mg1.example.test")]
    assert signer.certificate.not_valid_after_utc == noon + timedelta(days=90)
    signer.certificate.verify_directly_issued_by(ca.issuing)


def test_a_signer_is_in_the_ledger_as_one_and_can_be_revoked(ca: EnterpriseCa, noon: datetime) -> None:
    serial = ca.issue_signer("mg1.example.test", noon).certificate.serial_number
    status = ca.status(noon)
    assert [one.record.serial for one in status.signers] == [serial]
    assert [one.record.kind for one in status.certificates] == ["root", "issuing", "signer"]
    ca.revoke(serial, Reason.KEY_COMPROMISE, noon)
    assert serial in published(ca).serials


def test_an_operator_has_a_name_of_its_own_kind_for_clients_alone_and_can_be_revoked(
    ca: EnterpriseCa, noon: datetime
) -> None:
    issued = ca.issue_operator("ada", noon)
    usages = issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert (list(usages), list(names)) == (
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        [x509.UniformResourceIdentifier("sipmesh-operator:ada")],
    )
    assert identities(issued.certificate).usable == ()
    issued.certificate.verify_directly_issued_by(ca.issuing)
    assert [one.record.names for one in ca.status(noon).operators] == [("ada",)]
    ca.revoke(issued.certificate.serial_number, Reason.SUPERSEDED, noon)
    assert issued.certificate.serial_number in published(ca).serials


def test_operator_who_has_made_the_key_gets_a_certificate_for_it_and_a_weak_key_gets_none(
    ca: EnterpriseCa, noon: datetime
) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    certified = ca.certify_operator("ada", key, noon)
    assert certified.certificate.public_key() == key
    assert b"PRIVATE KEY" not in certified.chain
    weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - the weak key is the point
    with pytest.raises(LintRefusedError):
        ca.certify_operator("ada", weak, noon)


@pytest.mark.parametrize("name", ["", "a da", "sip:ada", "ada@example.test", "a" * 33, "-ada", "*"])
def test_name_that_no_operator_can_have_is_never_certified(ca: EnterpriseCa, noon: datetime, name: str) -> None:
    before = ca.certificates
    with pytest.raises(LintRefusedError):
        ca.issue_operator(name, noon)
    assert ca.certificates == before


@pytest.mark.parametrize("name", ["mg1", "*.example.test", "10.0.0.1", ""])
def test_a_signer_for_no_host_name_is_never_issued(ca: EnterpriseCa, noon: datetime, name: str) -> None:
    before = ca.certificates
    with pytest.raises(LintRefusedError, match="not a full host name"):
        ca.issue_signer(name, noon)
    assert ca.certificates == before, "refused before the journal"


def test_certificate_without_names_is_refused(ca: EnterpriseCa, noon: datetime) -> None:
    with pytest.raises(LintRefusedError, match="names no server"):
        ca.issue([], Role.FRONT_END, noon)


def test_invalid_role_is_a_local_error(ca: EnterpriseCa, noon: datetime) -> None:
    with pytest.raises(LocalError):
        ca.issue(NAMES, "front-end", noon)  # type: ignore[arg-type]  # the wrong type is the point


def test_an_expired_issuing_ca_issues_nothing(ca: EnterpriseCa, noon: datetime) -> None:
    with pytest.raises(OperatorError, match="cannot issue"):
        ca.issue(NAMES, Role.EDGE, noon + timedelta(days=1827), timedelta(minutes=1))


def openssl_verify(ca: EnterpriseCa, issued: Issued, folder: Path, at: datetime, *options: str) -> str:
    """What OpenSSL says of the certificate, with both lists at hand."""
    leaf, lists = folder / "fe1.pem", folder / "lists.pem"
    issued.write(leaf, folder / "fe1.key")
    lists.write_bytes((ca.folder / "root.crl").read_bytes() + (ca.folder / "issuing.crl").read_bytes())
    trust = [
        "-CAfile",
        str(ca.folder / "root.pem"),
        "-untrusted",
        str(ca.folder / "issuing.pem"),
        "-CRLfile",
        str(lists),
    ]
    command = ["openssl", "verify", "-crl_check_all", "-attime", str(int(at.timestamp())), *options, *trust, str(leaf)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout + told.stderr


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_in_strict_mode_accepts_what_we_issue(
    ca: EnterpriseCa, issued: Issued, tmp_path: Path, noon: datetime, purpose: str
) -> None:
    told = openssl_verify(ca, issued, tmp_path, noon, "-x509_strict", "-auth_level", "2", "-purpose", purpose)
    assert told.strip().endswith("OK")


def test_openssl_refuses_it_once_revoked(ca: EnterpriseCa, issued: Issued, tmp_path: Path, noon: datetime) -> None:
    ca.revoke(issued.certificate.serial_number, Reason.KEY_COMPROMISE, noon)
    assert "certificate revoked" in openssl_verify(ca, issued, tmp_path, noon)


def test_status_shows_the_time_left_of_everything(ca: EnterpriseCa, issued: Issued, noon: datetime) -> None:
    later = noon + timedelta(days=6)
    status = ca.status(later)
    assert [one.record.kind for one in status.authorities] == ["root", "issuing"]
    assert [(one.state, one.left) for one in status.servers] == [(CertificateState.VALID, timedelta(days=24))]
    assert [(one.kind, one.left, one.due) for one in status.lists] == [
        (CertificateKind.ROOT, timedelta(days=359), False),
        (CertificateKind.ISSUING, timedelta(days=1), True),
    ]


WORK = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.trust.role import Role

ca, at = EnterpriseCa.open(Path(sys.argv[1])), datetime(2026, 11, 24, 12, tzinfo=UTC)
while True:
    serial = ca.issue(["fe1.example.test"], Role.FRONT_END, at).certificate.serial_number
    ca.revoke(serial, Reason.SUPERSEDED, at)
    print(f"{serial:x}", flush=True)
"""


@pytest.mark.parametrize("lines", [1, 4, 9])
@pytest.mark.wide
def test_killed_ca_opens_again_without_losing_acknowledged_work(ca: EnterpriseCa, noon: datetime, lines: int) -> None:
    """A kill -9 in the middle of work: what was acknowledged as revoked is on the next list."""
    command = [sys.executable, "-c", WORK, str(ca.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}) as worker:
        assert worker.stdout is not None
        told = [int(worker.stdout.readline(), 16) for _ in range(lines)]
        worker.send_signal(signal.SIGKILL)
        told += [int(line, 16) for line in worker.stdout if line.endswith("\n")]
    again = EnterpriseCa.open(ca.folder)
    again.crls.reissue(noon)
    assert set(told) <= published(again).serials
    assert again.issue(NAMES, Role.FRONT_END, noon)


@pytest.mark.parametrize("is_rsa", [False, True])
@pytest.mark.wide
def test_certificate_for_clients_has_the_key_and_the_addresses_that_were_asked_for(
    ca: EnterpriseCa, noon: datetime, *, is_rsa: bool
) -> None:
    addresses = ("192.0.2.1", "2001:db8::1")
    made = ca.issue_for_clients(NAMES, noon, rsa=is_rsa, addresses=addresses)
    key, names = made.certificate.public_key(), made.certificate.extensions.get_extension_for_class(SAN).value
    assert isinstance(key, rsa.RSAPublicKey if is_rsa else ec.EllipticCurvePublicKey)
    assert tuple(map(str, names.get_values_for_type(x509.IPAddress))) == addresses
    assert identities(made.certificate).usable == NAMES  # no SIP server takes an address for an identity
    verifier = PolicyBuilder().store(Store([ca.root])).time(noon).build_server_verifier(x509.DNSName(NAMES[0]))
    verifier.verify(made.certificate, [ca.issuing])


def test_management_server_gets_no_certificate_for_a_key_to_which_no_file_is_sealed(
    ca: EnterpriseCa, noon: datetime
) -> None:
    key, names = mldsa.MLDSA44PrivateKey.generate().public_key(), ("mgmt.example.test",)
    with pytest.raises(OperatorError, match="a management server has an ECDSA key"):
        ca.certify(names, Role.MANAGEMENT, key, noon)
    assert ca.certify(names, Role.FRONT_END, key, noon).certificate.public_key() == key
