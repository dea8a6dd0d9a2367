"""Certificates with their keys, on their way into files."""

from __future__ import annotations

import stat
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issued import Issued

if TYPE_CHECKING:
    from pathlib import Path

SAN = x509.SubjectAlternativeName
NAMES = ("fe1.example.test", "pool1.example.test", "example.test")


def test_key_files_are_readable_by_their_owner_only(ca: EnterpriseCa, issued: Issued, tmp_path: Path) -> None:
    issued.write(tmp_path / "servers" / "fe1.pem", tmp_path / "servers" / "fe1.key")
    keys = [*ca.folder.glob("*.key"), *tmp_path.glob("servers/*.key")]
    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600] * 3
    assert stat.S_IMODE((tmp_path / "servers" / "fe1.pem").stat().st_mode) == 0o644


def test_file_of_an_operator_opens_with_its_passphrase_alone(ca: EnterpriseCa, noon: datetime) -> None:
    issued = ca.issue_operator("ada", noon)
    sealed = issued.pkcs12("ada", "correct horse")
    key, certificate, issuers = load_key_and_certificates(sealed, b"correct horse")
    assert key is not None
    assert (certificate, issuers) == (issued.certificate, [ca.issuing])
    with pytest.raises(ValueError, match="password"):
        load_key_and_certificates(sealed, b"wrong")


def test_issued_shows_itself_without_its_key(issued: Issued) -> None:
    assert "PRIVATE" not in repr(issued)
    assert repr(issued).startswith("<Issued CN=fe1.example.test,O=Example ")
