"""pkilint, the linter of a public CA, finds nothing above a notice in what our CA issues.

pkilint refuses each URI without an authority, so also the SIP URIs that RFC 5922 7.1 prescribes. These findings are left out,
and a test says so of pkilint.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import validators
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name
from pkilint.pkix import ocsp as ocsp_linter
from pkilint.validation import ValidationFindingSeverity

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import CA_KINDS
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.ocsp.responder import answer
from sipmesh.trust.role import Role
from sipmesh.trust.x509.device_identity import DeviceIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

NOW = datetime.now(UTC)
NAMES = ("fe1.example.test", "pool1.example.test", "example.test")
DESK = DeviceIdentity("sip:alice@example.test", "desk")
LONG = f"{'a' * 63}.example.test"
BAD_URI = "pkix.invalid_uri_syntax"


def findings(results: Iterable[Any]) -> list[str]:
    """Return each finding above a notice, but those for a URI without an authority in a subjectAltName."""
    found = [(result.node, one) for result in results for one in result.finding_descriptions]
    return [
        f"{one.finding.code}: {one.message} at {node.path}"
        for node, one in found
        if one.finding.severity < ValidationFindingSeverity.NOTICE
        and not (one.finding.code == BAD_URI and "subjectAltName" in node.path and is_opaque(str(node.pdu)))
    ]


def is_opaque(uri: str) -> bool:
    """Return whether *uri* has one of our schemes, and no authority (RFC 3986 3)."""
    return uri.startswith(("sip:", "sipmesh-operator:", "sipmesh-device:")) and "/" not in uri


def lint_certificate(made: x509.Certificate) -> list[str]:
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    document = loader.load_der_certificate(made.public_bytes(Encoding.DER))
    return findings(validator.validate(document.root))


def lint_crl(made: x509.CertificateRevocationList) -> list[str]:
    validator = crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    return findings(validator.validate(loader.load_der_crl(made.public_bytes(Encoding.DER)).root))


def lint_ocsp_response(made: bytes) -> list[str]:
    validator = ocsp_linter.create_pkix_ocsp_response_validator_container(
        [
            ocsp_linter.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )
    return findings(validator.validate(loader.load_der_ocsp_response(made).root))


def new_ca(folder: Path, algorithm: KeyAlgorithm) -> EnterpriseCa:
    url, domains = "http://crl.example.test", ["example.test"]
    return EnterpriseCa.create(folder / "ca", "Example", NOW, crl_base=url, domains=domains, algorithm=algorithm)


@pytest.fixture(name="ca", scope="module", params=KeyAlgorithm)
def _ca(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EnterpriseCa:
    return new_ca(tmp_path_factory.mktemp("pkilint"), request.param)


@pytest.mark.parametrize(
    "issue",
    [
        lambda ca: ca.root,
        lambda ca: ca.issuing,
        lambda ca: ca.issue(NAMES, Role.FRONT_END, NOW).certificate,
        lambda ca: ca.issue((LONG,), Role.EDGE, NOW).certificate,
        lambda ca: ca.issue_for_clients(NAMES, NOW, rsa=True, addresses=("192.0.2.1", "2001:db8::1")).certificate,
        lambda ca: ca.issue_signer("mg1.example.test", NOW).certificate,
        lambda ca: ca.issue_operator("ada", NOW).certificate,
        lambda ca: ca.devices,
        lambda ca: ca.issue_device(DESK, NOW).certificate,
    ],
    ids=["root", "issuing", "server", "long name", "clients", "signer", "operator", "devices", "device"],
)
def test_each_certificate_that_we_issue_is_clean(
    ca: EnterpriseCa, issue: Callable[[EnterpriseCa], x509.Certificate]
) -> None:
    assert lint_certificate(issue(ca)) == []


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_certificates_that_name_our_responder_are_clean(tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    ca = new_ca(tmp_path, algorithm)
    ca.publish(is_on=True)
    made = (
        ca.issue(NAMES, Role.FRONT_END, NOW).certificate,
        ca.issue_signer("mg1.example.test", NOW).certificate,
        ca.issue_operator("ada", NOW).certificate,
        ca.issue_device(DESK, NOW).certificate,
    )
    assert all(one.extensions.get_extension_for_class(x509.AuthorityInformationAccess) for one in made)
    assert [lint_certificate(one) for one in made] == [[], [], [], []]


@pytest.mark.parametrize(
    ("algorithm", "after"),
    [
        (KeyAlgorithm.P_256, KeyAlgorithm.P_256),
        (KeyAlgorithm.P_256, KeyAlgorithm.ML_DSA_44),
        (KeyAlgorithm.ML_DSA_44, KeyAlgorithm.P_384),
    ],
)
def test_next_root_and_its_cross_certificate_are_clean(
    tmp_path: Path, algorithm: KeyAlgorithm, after: KeyAlgorithm
) -> None:
    first = new_ca(tmp_path, algorithm)
    coming = CaGenerations(first.folder).prepare(NOW, algorithm=after)
    cross = x509.load_pem_x509_certificate((coming.folder / "issuing-cross.pem").read_bytes())
    assert [lint_certificate(made) for made in (coming.root, coming.issuing, cross)] == [[], [], []]


def test_each_crl_is_clean(ca: EnterpriseCa) -> None:
    for reason in Reason:
        issued = ca.issue(NAMES, Role.FRONT_END, NOW)
        ca.revoke(issued.certificate.serial_number, reason, NOW)
    crls = [x509.load_pem_x509_crl((ca.folder / f"{kind}.crl").read_bytes()) for kind in CA_KINDS]
    assert [len(list(made)) for made in crls] == [0, len(Reason), 0]
    assert [lint_crl(made) for made in crls] == [[], [], []]


def test_each_ocsp_response_is_clean(ca: EnterpriseCa) -> None:
    one, two = (ca.issue(NAMES, Role.FRONT_END, NOW).certificate for _ in range(2))
    ca.revoke(two.serial_number, Reason.KEY_COMPROMISE, NOW)
    for asked, issuer, nonce in (
        (one, ca.issuing, b"n" * 32),
        (two, ca.issuing, b""),
        (ca.issuing, ca.root, b""),
    ):
        builder = ocsp.OCSPRequestBuilder().add_certificate(asked, issuer, SHA256())
        if nonce:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        made = answer([ca], builder.build().public_bytes(Encoding.DER), NOW).body
        assert ocsp.load_der_ocsp_response(made).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert lint_ocsp_response(made) == []


def test_pkilint_finds_what_is_wrong(ca: EnterpriseCa) -> None:
    """Else an empty list would prove nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    begun = x509.CertificateBuilder(ca.issuing.subject, ca.issuing.subject, key.public_key(), 1, NOW, NOW)
    wrong = begun.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=False).sign(key, SHA256())
    assert any("basic_constraints" in found for found in lint_certificate(wrong))
    empty = x509.CertificateRevocationListBuilder(ca.issuing.subject, NOW, NOW).sign(key, SHA256())
    assert any("crl_number" in found for found in lint_crl(empty))


def test_pkilint_takes_no_uri_without_an_authority() -> None:
    """Not even the example of RFC 5922 7.1. If this fails, `findings` need not leave them out any more."""
    assert not validators.url("sip:example.com")
