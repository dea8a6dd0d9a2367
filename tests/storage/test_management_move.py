"""The data of management moves from files to PostgreSQL and back by a backup, and nothing is lost at any step."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.database.shared import DATABASE, FILE, SharedDatabase
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.ledger import FENCED
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.backup.create import back_up
from sipmesh.storage.backup.restore import restore
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.management_move import move
from storage.backups import PASSPHRASE
from storage.publishing import made
from support.tiers import wide_after

pytestmark = pytest.mark.peer("postgresql")
SERVER = "mgmt.example.test"


@pytest.fixture(name="shared")
def _shared(postgres_url: str) -> SharedDatabase:
    return SharedDatabase(postgres_url, SERVER)


@pytest.fixture(name="published")
def _published(example: Organisation) -> Organisation:
    """An organisation with two versions, in files."""
    management_db = ManagementDb(example.folder)
    for base in range(2):
        management_db.history.publish(base, made, "ada", "because", at=datetime.now(UTC))
    management_db.close()
    return example


def moved(organisation: Organisation, shared: SharedDatabase) -> ManagementDb:
    move(organisation.folder, shared, "ada", datetime.now(UTC))
    return ManagementDb(organisation.folder)


@pytest.mark.wide
def test_all_rows_are_in_the_database_afterwards_and_numbers_go_on(
    published: Organisation, shared: SharedDatabase
) -> None:
    before = ManagementDb(published.folder)
    versions, records = before.history.list(), published.ca.certificates
    last = published.ca.crls.status(datetime.now(UTC))[1].made
    before.close()
    after = moved(published, shared)
    assert after.history.list() == versions
    assert [line.act for line in after.audit.read()][-1] == AuditAct.MOVE
    assert after.history.verify() == []
    ca = EnterpriseCa.open(published.folder / "ca")
    assert ca.certificates == records
    assert after.history.publish(2, made, "ada", "after", at=datetime.now(UTC)).number == 3
    assert after.lease.fencing == 1
    ca.crls.publish(datetime.now(UTC))
    status = ca.crls.status(datetime.now(UTC))[1]
    assert last is not None
    assert status.made is not None
    assert status.made.number == FENCED
    assert ca.crls.due(datetime.now(UTC)) == (CertificateKind.ROOT,)  # signed before there was a leader
    assert not (published.folder / DATABASE).exists()
    assert not (published.folder / "ca" / "ledger.db").exists()
    assert (published.folder / f"{DATABASE}.moved").exists()
    assert (published.folder / FILE).stat().st_mode & 0o777 == 0o600
    after.close()


@pytest.mark.parametrize("step", wide_after(1, range(3)))
@pytest.mark.wide
def test_move_that_was_interrupted_goes_on(
    published: Organisation, shared: SharedDatabase, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as broken:
        name = ("sipmesh.pki.files.write", "pathlib.Path.rename", "sipmesh.pki.ledger.ledger.Ledger.copy_to")[step]
        broken.setattr(name, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            moved(published, shared)
    after = moved(published, shared)
    assert len(after.history.list()) == 2
    assert after.history.verify() == []
    assert {record.kind for record in published.ca.certificates} >= {"root", "issuing", "server"}
    assert not (published.folder / DATABASE).exists()
    after.close()


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_database_of_another_organisation_is_refused(published: Organisation, shared: SharedDatabase) -> None:
    other = ManagementDb(published.folder, SharedDatabase(shared.url, "other.test"))
    other.audit.append("eve", AuditAct.ISSUE, at=datetime.now(UTC))
    other.close()
    other.lease.release()
    with pytest.raises(OperatorError, match="name an empty database"):
        moved(published, shared)
    assert SharedDatabase.find(published.folder) is None
    unchanged = ManagementDb(published.folder)
    assert len(unchanged.history.list()) == 2
    unchanged.close()


def test_host_that_uses_another_database_is_left_alone(published: Organisation, shared: SharedDatabase) -> None:
    files.write(published.folder / FILE, SharedDatabase("postgresql+psycopg:///x", SERVER).encode(), files.SECRET)
    with pytest.raises(OperatorError, match="another database already"):
        move(published.folder, shared, "ada", datetime.now(UTC))


def test_backup_of_a_shared_database_is_restored_to_files(
    published: Organisation, shared: SharedDatabase, tmp_path: Path
) -> None:
    before = moved(published, shared)
    records, lines, lease = published.ca.certificates, before.audit.read(), before.lease.state()
    back_up(published.file, tmp_path / "x.backup", PASSPHRASE, datetime.now(UTC))
    restored = restore(tmp_path / "x.backup", tmp_path / "new", PASSPHRASE, "ada", datetime.now(UTC))
    after = ManagementDb(tmp_path / "new")
    assert after.shared is None
    assert [line.hash for line in after.audit.read()][: len(lines)] == [line.hash for line in lines]
    assert after.history.verify() == []
    assert lease is not None
    assert after.lease.fencing == lease.fencing + restored.jump
    assert EnterpriseCa.open(tmp_path / "new" / "ca").certificates == records
    for opened in (before, after):
        opened.close()
