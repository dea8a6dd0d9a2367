"""The issuing CAs that partners have presented, stored for the next start."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sipmesh.demo.forge import Forge
from sipmesh.server.refresh.intermediates import MOST_ISSUERS, KnownIntermediates

FORGE = Forge(datetime(2026, 11, 24, 12, tzinfo=UTC))


def test_issuers_are_known_after_a_start_below_the_given_anchors(tmp_path: Path) -> None:
    root, other = FORGE.root("Root"), FORGE.root("Other")
    middle = FORGE.authority("Middle", root, path_length=1)
    issuing = FORGE.authority("Issuing", middle)
    KnownIntermediates(tmp_path / "i.pem").remember([issuing.certificate, middle.certificate])
    again = KnownIntermediates(tmp_path / "i.pem")
    assert {*again.below([root.certificate])} == {issuing.certificate, middle.certificate}
    assert again.below([other.certificate]) == []


def test_damaged_file_is_ignored(tmp_path: Path) -> None:
    root, forged = FORGE.root("Root"), FORGE.authority("Issuing", FORGE.root("Root"))
    (tmp_path / "i.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nrubbish")
    held = KnownIntermediates(tmp_path / "i.pem")
    held.remember([forged.certificate])
    assert held.below([root.certificate]) == []


def test_certificate_issued_by_a_partners_server_is_no_issuer(tmp_path: Path) -> None:
    """Its key can sign like a CA's, and its name can be the name of the CA."""
    root = FORGE.root("Root")
    issuing = FORGE.authority("Issuing", root)
    server = FORGE.server(issuing, "sip.partner.test")
    forged = FORGE.authority("Issuing", server)
    held = KnownIntermediates(tmp_path / "i.pem")
    held.remember([forged.certificate, server.certificate, issuing.certificate])
    assert held.below([root.certificate]) == [issuing.certificate]


def test_oldest_issuers_are_dropped_at_the_limit(tmp_path: Path) -> None:
    root = FORGE.root("Root")
    made = [FORGE.authority(f"Issuing {n}", root).certificate for n in range(MOST_ISSUERS + 1)]
    held = KnownIntermediates(tmp_path / "i.pem")
    held.remember(made[:-1])
    assert made[0] in held.below([root.certificate])
    held.remember(made[-1:])
    assert {*held.below([root.certificate])} == {*made[1:]}
