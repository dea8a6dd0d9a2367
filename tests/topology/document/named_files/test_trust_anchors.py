"""Anchors and CRLs of a topology: which are usable, and which anchors may be shared."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sipmesh.errors import OperatorError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import LARGEST_ANCHORS, key_of, read_certificates
from sipmesh.trust.role import Role
from topology.world import NOON

if TYPE_CHECKING:
    from pathlib import Path

    from topology.world import Place


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file"),
        (b"", "contains no readable certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "contains no readable certificate"),
        (b"\x30\x03\x02\x01\x01", "contains no readable certificate"),
    ],
)
def test_an_anchor_that_cannot_be_read_is_a_problem(
    place: Place, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "partners" / "b" / "root.pem"
    file.unlink() if content is None else file.write_bytes(content)
    problem = place.problem()
    assert (problem.field, problem.line) == ("federation.partners[0].anchors[0]", place.line("partners/b/root.pem"))
    assert reason in problem.reason


def test_an_anchor_that_is_no_ca_is_a_problem(place: Place, tmp_path: Path) -> None:
    ca = EnterpriseCa.create(tmp_path / "partners" / "d", "Leafy", NOON, crl_base="http://crl.d.test")
    leaf = ca.issue(["sip.partner.test"], Role.EDGE, NOON).certificate
    (tmp_path / "partners" / "b" / "root.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    assert "is not a CA" in place.problem().reason


def test_an_anchor_with_a_weak_key_is_a_problem(place: Place, tmp_path: Path) -> None:
    """Everything under it would be refused, one link at a time."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weakness is the point
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Old Root")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.not_valid_before(NOON).not_valid_after(NOON + timedelta(days=1)).serial_number(1)
    root = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, SHA256())
    (tmp_path / "partners" / "b" / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    assert "RSA key of 1024 bits" in place.problem().reason


def test_an_anchor_may_be_der(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "partners" / "b" / "root.pem"
    (certificate,) = read_certificates(file)
    file.write_bytes(certificate.public_bytes(Encoding.DER))
    assert place.load().partners[0].anchors == (certificate,)


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_anchor_file_has_a_maximum_size(tmp_path: Path, more: int, *, fits: bool) -> None:
    file = tmp_path / "bundle.pem"
    file.write_bytes(b"#" * (LARGEST_ANCHORS + more))
    with pytest.raises(UnusableFileError, match="no readable certificate" if fits else "is larger than"):
        read_certificates(file)


def test_two_partners_with_one_private_anchor_are_a_problem(place: Place) -> None:
    """The CA of partner A could issue for partner B (rule R8)."""
    place.spoil(("anchors: [partners/c/root.pem]\n      crls: [partners/c/root.crl, partners/c/issuing.crl]", B))
    problem = place.problem()
    assert problem.field == "federation.partners[1].anchors"
    assert "is also an anchor of partner.test" in problem.reason
    assert "third_party" in problem.remedy


B = "anchors: [partners/b/root.pem]\n      crls: [partners/b/root.crl, partners/b/issuing.crl]"


def test_a_third_partys_anchor_may_be_shared_by_all_who_say_so(place: Place) -> None:
    place.spoil(
        (
            "anchors: [partners/c/root.pem]\n      crls: [partners/c/root.crl, partners/c/issuing.crl]",
            f"{B}\n      third_party: true",
        ),
        ("edge: sip.partner.test,", "edge: sip.partner.test, third_party: true,"),
    )
    first, second = place.load().partners
    assert first.anchors == second.anchors


@pytest.mark.parametrize("who", ["first", "second"])
def test_an_anchor_is_not_shared_when_only_one_says_so(place: Place, who: str) -> None:
    second = "\n      third_party: true" if who == "second" else ""
    place.spoil(
        ("anchors: [partners/c/root.pem]\n      crls: [partners/c/root.crl, partners/c/issuing.crl]", B + second)
    )
    if who == "first":
        place.spoil(("edge: sip.partner.test,", "edge: sip.partner.test, third_party: true,"))
    assert place.problem().field == "federation.partners[1].anchors"


@pytest.mark.parametrize("third_party", ["", "\n      third_party: true"])
def test_our_own_anchor_may_not_be_a_partners(place: Place, third_party: str) -> None:
    ours = f"anchors: [partners/ours.pem]\n      crls: [partners/c/root.crl]{third_party}"
    folder = place.file.parent
    (folder / "partners" / "ours.pem").write_bytes((folder / "ca" / "root.pem").read_bytes())
    place.spoil(("anchors: [partners/c/root.pem]\n      crls: [partners/c/root.crl, partners/c/issuing.crl]", ours))
    assert any("is also an anchor of our own authority" in problem.reason for problem in place.problems())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file"),
        (b"", "not a readable CRL"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "not a readable CRL"),
    ],
)
def test_a_crl_that_cannot_be_read_is_a_fault(place: Place, tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "ca" / "issuing.crl"
    file.unlink() if content is None else file.write_bytes(content)
    (fault,) = place.load().faults
    assert (fault.field, fault.line) == ("authority.crls[1]", place.line("authority:"))
    assert reason in fault.reason


def test_a_crl_that_another_key_signed_in_the_anchors_name_is_a_fault(place: Place, tmp_path: Path) -> None:
    EnterpriseCa.create(tmp_path / "partners" / "d", "Example", NOON, crl_base="http://crl.d.test")
    (tmp_path / "ca" / "root.crl").write_bytes((tmp_path / "partners" / "d" / "root.crl").read_bytes())
    assert any("is not signed by" in fault.reason for fault in place.load().faults)


def test_an_anchor_without_a_crl_is_a_fault(place: Place) -> None:
    place.spoil(("crls: [ca/root.crl, ca/issuing.crl]", "crls: [ca/issuing.crl]"))
    (fault,) = place.load().faults
    assert fault.field == "authority.crls"
    assert "no usable CRL of CN=Example Root CA" in fault.reason
    with pytest.raises(OperatorError, match="no usable CRL"):
        place.check()


def test_an_issuing_ca_that_our_servers_show_needs_a_crl_too(place: Place, tmp_path: Path, authorities: Path) -> None:
    ca = EnterpriseCa.open(authorities / "ca")
    issued = ca.issue(["fe1.example.test"], Role.FRONT_END, NOON)
    issued.write(tmp_path / "servers" / "fe1.example.test.pem", tmp_path / "servers" / "fe1.example.test.key")
    assert place.load().faults == ()
    place.spoil(("crls: [ca/root.crl, ca/issuing.crl]", "crls: [ca/root.crl]"))
    (fault,) = place.load().faults
    assert "no usable CRL of CN=Example Issuing CA" in fault.reason


def test_malformed_server_certificate_does_not_refuse_the_topology(place: Place, tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "fe1.example.test.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    assert place.load().faults == ()


def test_anchors_with_the_same_key_are_the_same(tmp_path: Path) -> None:
    ca = EnterpriseCa.create(tmp_path / "partners" / "d", "Example", NOON, crl_base="http://crl.d.test")
    other = EnterpriseCa.create(tmp_path / "e", "Example", NOON, crl_base="http://crl.e.test")
    assert key_of(ca.root) == key_of(EnterpriseCa.open(tmp_path / "partners" / "d").root)
    assert key_of(ca.root) != key_of(other.root)


def test_crls_are_read_again_with_the_topology(place: Place, tmp_path: Path, authorities: Path) -> None:
    before = {held.number for held in place.load().authority.lists}
    own = tmp_path / "own-ca"  # the CA of all tests stays as it is
    shutil.copytree(authorities / "ca", own)
    newer = EnterpriseCa.open(own).crls.publish(NOON + timedelta(hours=1), CertificateKind.ISSUING)
    (tmp_path / "ca" / "issuing.crl").write_bytes(newer.read_bytes())
    assert {held.number for held in place.load().authority.lists} != before


def test_device_issuing_ca_is_below_our_root_and_marked(place: Place, tmp_path: Path) -> None:
    """Each other certificate would have phones judged over a path that the CA has not made for them."""
    base = "http://crl.example.test"
    ca = EnterpriseCa.create(tmp_path / "new", "Example", NOON, crl_base=base, domains=["example.test"])
    for name in ("root.pem", "root.crl", "issuing.crl", "devices.pem", "devices.crl"):
        shutil.copy(tmp_path / "new" / name, tmp_path / "ca" / name)
    crls = "crls: [ca/root.crl, ca/issuing.crl"
    place.spoil((f"{crls}]", f"{crls}, ca/devices.crl], devices: [ca/devices.pem]"))
    assert place.load().authority.devices == (ca.devices,)
    other = EnterpriseCa.create(tmp_path / "other", "Other", NOON, crl_base=base, domains=["example.test"])
    for wrong in (ca.issuing, ca.root, other.devices):
        assert wrong is not None
        (tmp_path / "ca" / "devices.pem").write_bytes(wrong.public_bytes(Encoding.PEM))
        problem = place.problem()
        assert (problem.field, "is not a device issuing CA" in problem.reason) == ("authority.devices[0]", True)
        assert "sipmesh ca devices" in problem.remedy
