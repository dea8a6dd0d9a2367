"""The management server renews what it presents and signs with, and writes down what it issues. No network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.server.management.issuing import Issuing
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.view import view
from support.control_plane import Host
from support.managed import MGMT, Managed


@dataclass
class Manager:
    """The CA of a management server, and what it has written."""

    managed: Managed
    host: Host
    issuing: Issuing
    management_db: ManagementDb

    def leaf(self, name: str = MGMT) -> x509.Certificate:
        """The certificate that is on disk."""
        return x509.load_pem_x509_certificates(self.managed.credentials(name)[0].read_bytes())[0]

    def issued(self) -> list[str]:
        """The servers for which the audit log has a certificate."""
        return [str(line.about["server"]) for line in self.management_db.audit.read() if line.act == AuditAct.ISSUE]


@pytest.fixture(name="manager")
def _manager(managed: Managed) -> Iterator[Manager]:
    host, management_db = Host(view(managed.organisation.load(), MGMT)), ManagementDb(managed.folder(MGMT))
    yield Manager(managed, host, Issuing(host, management_db, host.told.log), management_db)
    management_db.close()


@pytest.fixture(name="late")
def _late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 25 of the 30 days of every certificate be over."""
    monkeypatch.setattr("sipmesh.server.management.issuing.now_utc", lambda: datetime.now(UTC) + timedelta(days=25))


def test_certificate_with_time_left_is_not_renewed(manager: Manager) -> None:
    before = manager.leaf()
    manager.issuing.renew_own()
    assert (manager.leaf(), manager.issued()) == (before, [])


@pytest.mark.usefixtures("late")
def test_certificate_near_its_end_is_renewed_and_audited(manager: Manager) -> None:
    before = manager.leaf()
    manager.issuing.renew_own()
    assert manager.leaf().not_valid_after_utc > before.not_valid_after_utc + timedelta(days=20)
    assert set(manager.issued()) == {MGMT}
    serials = [line["serial"] for line in manager.host.told.events("certificate issued")]
    assert f"{manager.leaf().serial_number:x}" in serials


def test_present_issuing_ca_is_shown_to_servers(manager: Manager) -> None:
    assert manager.issuing.shown == ""
    manager.issuing.renew_own()
    shown = manager.managed.organisation.ca.shown
    assert manager.issuing.shown == b64encode(shown.public_bytes(Encoding.DER)).decode()


@pytest.mark.usefixtures("late")
def test_missing_key_of_the_ca_is_logged_and_leaves_the_certificate(manager: Manager) -> None:
    before = manager.leaf()
    (manager.managed.folder(MGMT) / "ca" / "issuing.key").unlink()
    manager.issuing.renew_own()
    assert (manager.leaf(), manager.issued()) == (before, [])
    [line] = manager.host.told.events("own certificate not renewed")
    assert "issuing.key" in line["why"]
