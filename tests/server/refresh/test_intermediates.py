"""The issuing CAs that partners have presented, stored for the next start and for other processes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged
from sipmesh.server.refresh.intermediates import MOST_OF_ANCHOR, KnownIntermediates
from sipmesh.trust.path import chain
from sipmesh.trust.path.chain import Path as CertificationPath
from sipmesh.trust.x509.certificate import issued_by

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))
NAME = "sip.partner.test"


def path_of(*cas: Forged) -> CertificationPath:
    """Return a path below *cas*, the lowest first, the anchor last."""
    return (FORGE.server(cas[0], NAME).certificate, *(ca.certificate for ca in cas))


def only_file(folder: Path) -> Path:
    """Return the file of the only anchor."""
    [file] = folder.iterdir()
    return file


def test_issuers_are_known_after_a_start_below_the_given_anchors(tmp_path: Path) -> None:
    root, other = FORGE.root("Root"), FORGE.root("Other")
    middle = FORGE.authority("Middle", root, path_length=1)
    issuing = FORGE.authority("Issuing", middle)
    assert KnownIntermediates(tmp_path).remember(path_of(issuing, middle, root))
    again = KnownIntermediates(tmp_path)
    assert {*again.below([root.certificate])} == {issuing.certificate, middle.certificate}
    assert again.below([other.certificate]) == []
    assert not again.remember(path_of(issuing, middle, root))


def test_path_without_a_ca_below_its_anchor_stores_nothing(tmp_path: Path) -> None:
    assert not KnownIntermediates(tmp_path).remember(path_of(FORGE.root("Root")))
    assert [*tmp_path.iterdir()] == []


def test_damaged_file_is_ignored(tmp_path: Path) -> None:
    root = FORGE.root("Root")
    KnownIntermediates(tmp_path).remember(path_of(FORGE.authority("Issuing", root), root))
    only_file(tmp_path).write_bytes(b"-----BEGIN CERTIFICATE-----\nrubbish")
    held, second = KnownIntermediates(tmp_path), FORGE.authority("Second", root)
    assert held.below([root.certificate]) == []
    held.remember(path_of(second, root))
    assert held.below([root.certificate]) == [second.certificate]


def test_certificate_issued_by_a_partners_server_is_no_issuer(tmp_path: Path) -> None:
    """Its key can sign like a CA's, and its name can be the name of the CA. It was written to the file."""
    root = FORGE.root("Root")
    issuing = FORGE.authority("Issuing", root)
    server = FORGE.server(issuing, NAME)
    forged, foreign = FORGE.authority("Issuing", server), FORGE.authority("Issuing", FORGE.root("Root"))
    KnownIntermediates(tmp_path).remember(path_of(issuing, root))
    written = (forged, server, issuing, foreign)
    only_file(tmp_path).write_bytes(b"".join(one.pem_chain for one in written))
    assert KnownIntermediates(tmp_path).below([root.certificate]) == [issuing.certificate]


def test_oldest_issuers_are_dropped_at_the_limit_of_their_anchor(tmp_path: Path) -> None:
    """Those of another anchor stay."""
    root, other = FORGE.root("Root"), FORGE.root("Other")
    made = [FORGE.authority(f"Issuing {n}", root) for n in range(MOST_OF_ANCHOR + 1)]
    kept = FORGE.authority("Issuing", other)
    held = KnownIntermediates(tmp_path)
    held.remember(path_of(kept, other))
    for ca in made[:-1]:
        held.remember(path_of(ca, root))
    assert made[0].certificate in held.below([root.certificate])
    held.remember(path_of(made[-1], root))
    for known in (held, KnownIntermediates(tmp_path)):
        assert known.below([root.certificate, other.certificate]) == [
            *(ca.certificate for ca in made[1:]),
            kept.certificate,
        ]


def test_issuers_that_another_process_has_stored_are_known(tmp_path: Path) -> None:
    """The workers of a server have the links, and its supervisor fetches the CRLs."""
    root = FORGE.root("Root")
    first, second = FORGE.authority("First", root), FORGE.authority("Second", root)
    worker, supervisor = KnownIntermediates(tmp_path), KnownIntermediates(tmp_path)
    assert supervisor.below([root.certificate]) == []
    worker.remember(path_of(first, root))
    assert supervisor.below([root.certificate]) == [first.certificate]
    supervisor.remember(path_of(second, root))
    assert {*worker.below([root.certificate])} == {first.certificate, second.certificate}


def test_known_issuers_cost_no_signature_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partner can show many CAs of one name, each of which could have issued each other one."""
    checked = list[x509.Certificate]()

    def counted(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        checked.append(certificate)
        return issued_by(certificate, issuer)

    root, held = FORGE.root("Root"), KnownIntermediates(tmp_path)
    cas = [FORGE.authority("Root", root) for _ in range(MOST_OF_ANCHOR)]
    for ca in cas:
        held.remember(path_of(ca, root))
    monkeypatch.setattr(chain, "issued_by", counted)
    assert len(held.below([root.certificate])) == MOST_OF_ANCHOR
    assert checked == []
    assert len(KnownIntermediates(tmp_path).below([root.certificate])) == MOST_OF_ANCHOR
    assert len(checked) <= MOST_OF_ANCHOR * chain.SIGNATURES
