"""The CAs of the impostors are those of the organisations, with their stolen keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.cast import Cast, stolen, write_partner_ca
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.revocation.crl import RevocationList
from support.network import FE2


@pytest.fixture(name="cast")
def _cast(example_model: Organisation, partner_model: Organisation, tmp_path: Path) -> Cast:
    other, _ = write_partner_ca(Forge(datetime.now(UTC)), tmp_path / "other", "other.test")
    return Cast.of(example_model, partner_model, other)


def test_stolen_key_issues_what_the_organisation_itself_would_accept(
    cast: Cast, example_model: Organisation, partner_model: Organisation
) -> None:
    for issuer, organisation in ((cast.ours, example_model), (cast.partner, partner_model)):
        forged = cast.forge.server(issuer, FE2).certificate
        forged.verify_directly_issued_by(organisation.ca.issuing)
        assert issuer.issuer is not None
        assert issuer.issuer.certificate == organisation.ca.root
    assert stolen(example_model).certificate == cast.ours.certificate


def test_stranger_has_a_ca_of_its_own(cast: Cast) -> None:
    assert cast.stranger.issuer is not None
    assert cast.stranger.certificate.issuer != cast.ours.certificate.issuer


def test_partner_that_is_a_ca_only_has_anchors_and_signed_crls(tmp_path: Path) -> None:
    issuing, keys = write_partner_ca(Forge(datetime.now(UTC)), tmp_path / "other", "other.test")
    anchors, crls = keys["anchors"], keys["crls"]
    assert isinstance(anchors, list)
    assert isinstance(crls, list)
    root = x509.load_pem_x509_certificate(Path(anchors[0]).read_bytes())
    assert issuing.issuer is not None
    assert root == issuing.issuer.certificate
    for file, signer in zip(crls, (root, issuing.certificate), strict=True):
        assert RevocationList.load(Path(file).read_bytes()).signed_by(signer)


def test_partner_without_a_root_is_a_mistake_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge = Forge(datetime.now(UTC))
    root: Forged = forge.root("alone")
    monkeypatch.setattr(Forge, "organisation", lambda *_, **__: root)
    with pytest.raises(ValueError, match="has no root"):
        write_partner_ca(forge, tmp_path / "other", "other.test")
