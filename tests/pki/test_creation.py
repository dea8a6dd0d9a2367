"""A new CA is complete, or is not there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.lint import LintRefusedError
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.trust.role import Role
from support.crls import published

if TYPE_CHECKING:
    from pathlib import Path

SAN = x509.SubjectAlternativeName
NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_a_new_ca_is_a_root_an_issuing_ca_and_two_crls(ca: EnterpriseCa) -> None:
    files = {file.name for file in ca.folder.iterdir()} - {".lock"}
    assert files == {"root.pem", "root.key", "root.crl", "issuing.pem", "issuing.key", "issuing.crl", "ledger.db"}
    assert published(ca, CertificateKind.ROOT).number == published(ca).number == 1
    ca.issuing.verify_directly_issued_by(ca.root)


def test_a_creation_that_fails_leaves_nothing_behind(tmp_path: Path, noon: datetime) -> None:
    with pytest.raises(LintRefusedError, match="CRL distribution point"):
        EnterpriseCa.create(tmp_path / "ca", "Example", noon, crl_base="https://crl.example.test")
    assert list(tmp_path.iterdir()) == []


def test_another_curve_can_be_asked_for(tmp_path: Path, noon: datetime) -> None:
    folder = tmp_path / "ca"
    ca = EnterpriseCa.create(folder, "Example", noon, crl_base="http://crl.example.test", algorithm=KeyAlgorithm.P_384)
    issued = ca.issue(NAMES, Role.FRONT_END, noon)
    verifier = PolicyBuilder().store(Store([ca.root])).time(noon).build_client_verifier()
    assert verifier.verify(issued.certificate, [ca.issuing])
    assert issued.certificate.signature_hash_algorithm is not None
    assert issued.certificate.signature_hash_algorithm.name == "sha384"
