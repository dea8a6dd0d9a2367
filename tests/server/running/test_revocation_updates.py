"""Revocations come into force on one server. Which links close then is in `scenarios/test_revocation`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.server.proxy.outside import Follower
from sipmesh.server.running import revocation_updates
from sipmesh.trust.revocation.ocsp import OcspAnswers
from sipmesh.trust.x509.certificate import CertificateId
from support.network import FE1, FE2
from support.running import on_loop
from support.server_parts import server_parts


class Plane(ControlPlane):
    """A control plane; *named* has what each CRL revokes newly."""

    def __init__(self) -> None:
        self.named: list[frozenset[CertificateId]] = []

    def crls_changed(self, revoked: frozenset[CertificateId]) -> None:
        """Take note of what a CRL revokes newly."""
        self.named.append(revoked)


class Followed(Follower):
    """The other processes of this server, beside a control plane."""

    def __init__(self) -> None:
        self.files: list[Collection[Path]] = []
        self.pushed: list[Collection[CertificateId]] = []
        self.plane = Plane()

    def crls_changed(self, files: Collection[Path]) -> None:
        """Take note of files."""
        self.files.append(files)

    def revoked(self, named: Collection[CertificateId]) -> None:
        """Take note of what was pushed."""
        self.pushed.append(named)


@pytest.fixture(name="leaf")
def _leaf(example: Organisation) -> x509.Certificate:
    """The certificate of the second front end."""
    file = example.folder / "servers" / f"{FE2}.pem"
    return x509.load_pem_x509_certificates(file.read_bytes())[0]


@on_loop
async def test_crl_that_names_a_certificate_is_in_force_and_reported(
    example: Organisation, leaf: x509.Certificate
) -> None:
    file, followed = example.folder / "ca" / "issuing.crl", Followed()
    async with server_parts(example, FE1) as parts:
        updates, loaded = parts.links.revocation, parts.setup.view.loaded
        parts.setup.outside.follower = followed
        parts.setup.outside.control_plane = followed.plane
        example.ca.revoke(leaf.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        assert updates.accept_crls({file}) == []
        assert any(leaf.serial_number in crl.serials for crl in loaded.authority.lists)
        assert followed.files == [{file}]
        assert followed.plane.named == [frozenset({(leaf.issuer.public_bytes(), leaf.serial_number)})]


@on_loop
async def test_pushed_revocation_is_in_force_before_its_crl(example: Organisation, leaf: x509.Certificate) -> None:
    async with server_parts(example, FE1) as parts:
        updates, followed = parts.links.revocation, Followed()
        parts.setup.outside.follower = followed
        named = (leaf.issuer.public_bytes(), leaf.serial_number)
        assert updates.revoke([named]) == []
        lists = parts.setup.view.loaded.authority.lists
        assert any(leaf.serial_number in crl.serials for crl in lists)
        assert followed.pushed == [frozenset({named})]


@on_loop
async def test_pushed_revocation_outlasts_another_crl_and_another_version(
    example: Organisation, leaf: x509.Certificate
) -> None:
    """The CRL and the version may have been made before the revocation."""
    file = example.folder / "ca" / "issuing.crl"
    async with server_parts(example, FE1) as parts:
        updates, loaded = parts.links.revocation, parts.setup.view.loaded
        updates.revoke([(leaf.issuer.public_bytes(), leaf.serial_number)])
        example.ca.crls.publish(datetime.now(UTC))
        assert updates.accept_crls({file}) == []
        assert any(leaf.serial_number in crl.serials for crl in loaded.authority.lists)
        later = example.load()
        updates.keep_pushed(later)
        assert any(leaf.serial_number in crl.serials for crl in later.authority.lists)


@on_loop
async def test_oldest_pushed_revocations_are_forgotten_at_the_limit(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_updates, "MOST_PUSHED", 2)
    async with server_parts(example, FE1) as parts:
        for serial in (1, 2, 3):
            parts.links.revocation.revoke([(b"issuer", serial)])
        assert list(parts.links.revocation.pushed) == [(b"issuer", 2), (b"issuer", 3)]


@on_loop
async def test_certificate_without_a_link_is_not_relied_on(example: Organisation, leaf: x509.Certificate) -> None:
    async with server_parts(example, FE1) as parts:
        updates, authority = parts.links.revocation, parts.setup.view.loaded.authority
        issuer = next(anchor for anchor in authority.anchors)
        assert not updates.is_relied_on((leaf, issuer))
        assert updates.accept_ocsp(authority, OcspAnswers(), (leaf, issuer)) == []
