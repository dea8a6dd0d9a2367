"""The catalogue of impostors: each differs from its control in what its title says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.cast import Cast, write_partner_ca
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.impostors import IMPOSTORS, AttackedListener, Impostor, self_signed
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.code import Code
from sipmesh.trust.x509.sip_identity import identities


@pytest.fixture(name="cast", scope="module")
def _cast(example_model: Organisation, partner_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Cast:
    folder: Path = tmp_path_factory.mktemp("other")
    other, _ = write_partner_ca(Forge(datetime.now(UTC)), folder, "other.test")
    return Cast.of(example_model, partner_model, other)


def names_of(credentials: Forged | None) -> tuple[str, ...]:
    return identities(credentials.certificate).usable if credentials is not None else ()


@pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda impostor: impostor.title)
def test_control_has_a_certificate_for_the_port_that_it_connects_to(cast: Cast, impostor: Impostor) -> None:
    """And the impostor shows another one, or none."""
    control, shown = impostor.control(cast), impostor.credentials(cast)
    assert control is not None
    expected = (
        {"sip.partner.test", "other.test"} if impostor.listener is AttackedListener.PARTNER else {"fe2.example.test"}
    )
    assert expected & set(names_of(control))
    assert shown is None or shown.certificate != control.certificate
    assert impostor.wanted is not Code.ACCEPTED


def test_every_port_has_impostors_and_every_title_is_its_own() -> None:
    assert {impostor.listener for impostor in IMPOSTORS} == set(AttackedListener)
    assert max(Counter(impostor.title for impostor in IMPOSTORS).values()) == 1


def test_self_signed_certificate_has_no_other_issuer(cast: Cast) -> None:
    certificate = self_signed(cast).certificate
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)


def test_only_one_impostor_shows_no_certificate(cast: Cast) -> None:
    assert [impostor.title for impostor in IMPOSTORS if impostor.credentials(cast) is None] == ["no certificate"]
