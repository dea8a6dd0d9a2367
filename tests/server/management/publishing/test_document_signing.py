"""Management signs only documents that servers accept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.view import view
from support.managed import MGMT, Managed

KIND = "sipmesh-test"
NOW = datetime.now(UTC)


def signed(managed: Managed, at: datetime = NOW) -> bytes:
    return sign_as(view(managed.organisation.load(), MGMT), b"payload", KIND, at)


def test_document_is_signed_by_the_signer(managed: Managed) -> None:
    opened = open_signed(signed(managed), KIND)
    assert opened.payload == b"payload"
    assert list(opened.chain) == read_certificates(managed.credentials(f"{MGMT}.signer")[0])


def test_signer_that_is_missing_is_named_with_the_command_that_helps(managed: Managed) -> None:
    managed.credentials(f"{MGMT}.signer")[0].unlink()
    with pytest.raises(OperatorError, match="the topology cannot be signed") as refused:
        signed(managed)
    assert refused.value.problems[0].remedy == f"sipmesh ca issue {MGMT}"


def test_signer_that_has_expired_signs_nothing(managed: Managed) -> None:
    with pytest.raises(OperatorError, match="servers would reject a document"):
        signed(managed, NOW + timedelta(days=400))


def test_signer_that_was_revoked_signs_nothing(managed: Managed) -> None:
    serial = read_certificates(managed.credentials(f"{MGMT}.signer")[0])[0].serial_number
    managed.organisation.ca.revoke(serial, Reason.KEY_COMPROMISE, NOW)
    with pytest.raises(OperatorError, match="servers would reject a document"):
        signed(managed, datetime.now(UTC))
