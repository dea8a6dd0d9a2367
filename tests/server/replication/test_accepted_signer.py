"""A stored document counts if this server trusted its signer when it was signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.server.replication.accepted_signer import why_not_trusted
from sipmesh.topology.versions.jose import Signed, open_signed
from sipmesh.topology.versions.publication import KIND
from support.managed import MGMT, Managed


def signed_by(managed: Managed, name: str) -> Signed:
    return open_signed(managed.signed(managed.payload(2), managed.credentials(name)), KIND)


def root_of(organisation: Organisation) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(organisation.root.read_bytes())


def test_signer_under_our_root_is_trusted_at_the_time_of_the_document(managed: Managed) -> None:
    anchors, signed = root_of(managed.organisation), signed_by(managed, f"{MGMT}.signer")
    assert why_not_trusted(signed, anchors, datetime.now(UTC)) == ""
    early = why_not_trusted(signed, anchors, datetime.now(UTC) - timedelta(days=3))
    assert "not-yet-valid" in early
    assert MGMT in early


def test_server_that_is_no_signer_is_not_trusted(managed: Managed) -> None:
    """Its certificate is good for links: a stolen one must not sign a topology."""
    why = why_not_trusted(signed_by(managed, MGMT), root_of(managed.organisation), datetime.now(UTC))
    assert "wanted digitalSignature and documentSigning alone; saw serverAuth" in why


def test_signer_under_another_root_or_without_a_root_is_not_trusted(
    managed: Managed, partner_model: Organisation
) -> None:
    signed = signed_by(managed, f"{MGMT}.signer")
    for anchors in (root_of(partner_model), []):
        assert "untrusted-issuer: " in why_not_trusted(signed, anchors, datetime.now(UTC))
