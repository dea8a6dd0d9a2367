"""Management renews its own certificates, also after it was killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sipmesh.pki import files
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.certificates.presented import PresentedCertificates
from sipmesh.server.management.own_renewal import finish_own, renew_own
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support import renewal_steps
from support.renewing import FE1, MGMT, NOW, Place


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


def test_management_renews_its_own_certificates_also_after_expiry(place: Place) -> None:
    shown = place.view(MGMT)
    assert renew_own(shown, place.folder / "ca", NOW) == []
    late = NOW + timedelta(days=100)
    assert len(renew_own(shown, place.folder / "ca", late)) == 2
    assert place.leaf(MGMT).not_valid_after_utc > late
    assert read_certificates(shown.signer[0])[0].not_valid_after_utc > late
    assert renew_own(shown, place.folder / "ca", late) == []


def test_management_without_the_ca_renews_nothing(place: Place, tmp_path: Path) -> None:
    assert renew_own(place.view(MGMT), tmp_path / "nowhere", NOW + timedelta(days=100)) == []


@pytest.mark.wide
def test_renewal_that_is_killed_at_any_step_is_finished_at_the_next_start(place: Place) -> None:
    """Also on a server of a management pool that follows: other servers have sealed the CA to the key in the ledger."""
    shown = place.view(MGMT)
    for file in (shown.certificate, shown.key, *shown.signer):
        shutil.copy(file, place.folder / f"{file.name}.first")
    paths = os.pathsep.join(filter(None, sys.path))
    late = (NOW + timedelta(days=100)).isoformat()
    done = subprocess.run(
        [sys.executable, renewal_steps.__file__, str(place.folder), MGMT, late],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("killed") >= 6, "each key waits, and each pair has two files"


def test_key_that_waits_without_a_certificate_is_not_used(place: Place) -> None:
    """It may have been stolen since. Control: a key that waits, and for which the ledger has a certificate."""
    shown, ca = place.view(MGMT), place.folder / "ca"
    waiting, before = shown.key.with_name(f"{shown.key.name}.next"), shown.key.read_bytes()
    key = files.new_key()
    files.write(waiting, files.key_pem(key), files.SECRET)
    assert not finish_own(shown, ca)
    assert shown.key.read_bytes() == before
    issued = place.ca.issue((MGMT,), Role.MANAGEMENT, NOW, key=key)
    place.ca.revoke(issued.certificate.serial_number, Reason.KEY_COMPROMISE, NOW)
    assert not finish_own(shown, ca)
    assert shown.key.read_bytes() == before
    again = place.ca.issue((MGMT,), Role.MANAGEMENT, NOW, key=key).certificate
    assert finish_own(shown, ca)
    assert (place.leaf(MGMT), waiting.exists()) == (again, False)


@pytest.mark.parametrize("server", [FE1, MGMT])
def test_server_that_was_killed_between_its_key_and_its_certificate_starts(place: Place, server: str) -> None:
    shown = place.view(server)
    issued = place.ca.issue((server,), Role.FRONT_END, NOW)
    files.prepare(shown.certificate, issued.chain, files.PUBLIC)
    files.write(shown.key, issued.key, files.SECRET)
    presented = PresentedCertificates.first(shown)
    assert presented.of(LinkKind.SERVER).leaf == issued.certificate
