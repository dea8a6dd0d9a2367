"""What follows a version: blocked organisations are in the audit log, and removed servers are revoked."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from sipmesh.server.management.publishing.decommission import follow_up, servers_of
from sipmesh.storage.audit import AuditLine
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.load import Loaded
from sipmesh.trust.revocation.crl import RevocationList
from support.managed import MGMT, Managed, without
from support.network import EDGES, FE2
from support.telling import Told

NOW = datetime.now(UTC)


def followed(managed: Managed, before: Loaded, told: Told) -> list[AuditLine]:
    """Do what has to follow the draft after *before*; return the new lines of the audit log."""
    management_db = ManagementDb(managed.folder(MGMT))
    count = len(list(management_db.audit.read()))
    now = managed.organisation.load()
    follow_up(managed.folder(MGMT), management_db, before, now, "ada (1)", NOW, told.log.error)
    lines = list(management_db.audit.read())[count:]
    management_db.close()
    return lines


def test_removed_server_is_revoked(managed: Managed) -> None:
    before = managed.organisation.load()
    serial = x509.load_pem_x509_certificate(managed.credentials(FE2)[0].read_bytes()).serial_number
    managed.edit(without(FE2))
    assert servers_of(before) - servers_of(managed.organisation.load()) == {FE2}
    [line] = followed(managed, before, Told())
    assert (line.act, line.about["server"], line.about["serial"]) == (AuditAct.REVOKE, FE2, f"{serial:x}")
    assert serial in RevocationList.load((managed.folder(MGMT) / "ca/issuing.crl").read_bytes()).serials


def test_blocked_domain_is_in_the_audit_log(managed: Managed) -> None:
    before = managed.organisation.load()
    managed.organisation.federate(EDGES, [], blocked=("evil.test",))
    managed.organisation.write()
    [line] = followed(managed, before, Told())
    assert (line.act, line.about) == (AuditAct.BLOCK, {"blocked": ["evil.test"]})


def test_version_that_removes_nothing_has_no_line(managed: Managed) -> None:
    assert followed(managed, managed.organisation.load(), Told()) == []


def test_ca_on_another_machine_is_reported(managed: Managed) -> None:
    before, told = managed.organisation.load(), Told()
    (managed.folder(MGMT) / "ca/issuing.key").unlink()
    managed.edit(without(FE2))
    assert followed(managed, before, told) == []
    [line] = told.lines
    assert (line["level"], line["servers"]) == ("error", FE2)
