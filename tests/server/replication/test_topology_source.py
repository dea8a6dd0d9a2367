"""The source of a server's topology: after a signed version, nothing unsigned is loaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.database.shared import DATABASE, SharedDatabase
from sipmesh.demo.forge import Forge, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion, version_of
from sipmesh.server.replication.topology_source import DraftFile, published_in, source_of
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.management_move import move
from sipmesh.topology.versions.jose import sign
from sipmesh.topology.versions.publication import KIND
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from support.managed import MGMT, Managed
from support.network import EDGE, EXAMPLE, FE1, FE2

NOW = datetime.now(UTC)


def test_network_without_management_loads_its_file(example: Organisation) -> None:
    source = source_of(example.file, FE1.upper())
    assert isinstance(source, DraftFile)
    assert source.load().digest == example.load().digest
    assert published_in(example.folder) is None


def test_management_loads_its_history_and_no_draft(managed: Managed) -> None:
    managed.organisation.file.write_text("not in order")
    source = source_of(managed.organisation.file, MGMT)
    assert isinstance(source, PublishedVersion)
    assert source.load().number == 1
    assert managed.holding(MGMT).highest == 1
    source.management_db.close()
    published = published_in(managed.folder(MGMT))
    assert published is not None
    assert published.number == 1


def test_history_counts_until_management_has_stored_a_version(managed: Managed) -> None:
    """An earlier release has left a record, and no stored version."""
    folder = managed.folder(MGMT)
    source_of(managed.organisation.file, MGMT).load()
    documents = DocumentStore(folder, MGMT)
    assert documents.is_whole
    for file in (folder / "state").glob(f"{MGMT}.topology*"):
        file.unlink()
    assert documents.is_there
    assert not documents.is_whole
    published = published_in(folder)
    assert published is not None
    assert published.number == 1


def test_managed_server_loads_its_stored_version(managed: Managed) -> None:
    managed.join(FE1)
    source = source_of(managed.folder(FE1) / "topology.yaml", FE1)
    assert isinstance(source, DocumentStore)
    assert source.load().number == 1


def test_draft_with_management_is_never_loaded(managed: Managed) -> None:
    (managed.folder(MGMT) / DATABASE).unlink()
    with pytest.raises(OperatorError, match="is an unsigned draft"):
        source_of(managed.organisation.file, FE1)
    with pytest.raises(OperatorError, match="is a management server without its database"):
        source_of(managed.organisation.file, MGMT)


def test_management_server_that_has_not_joined_the_pool_does_not_start(managed: Managed, tmp_path: Path) -> None:
    folder = tmp_path / "new-host"
    anchors = x509.load_pem_x509_certificates(managed.organisation.root.read_bytes())
    for name in (MGMT, FE1):
        DocumentStore(folder, name).begin(managed.published(), anchors)
    with pytest.raises(
        OperatorError, match=f"has not joined the management pool; first: sipmesh management join {MGMT} URL"
    ):
        source_of(folder / "topology.yaml", MGMT)
    assert source_of(folder / "topology.yaml", FE1).load().number == 1


def test_server_beside_management_starts_with_the_newest_version(managed: Managed) -> None:
    source = source_of(managed.organisation.file, FE1)
    assert isinstance(source, DocumentStore)
    assert (source.load().number, source.highest) == (1, 1)
    (source.state / f"{FE1}.topology").unlink()
    again = source_of(managed.organisation.file, FE1)
    assert again.load().number == 1


def test_server_beside_management_loads_a_version_published_while_it_was_off(managed: Managed) -> None:
    source_of(managed.organisation.file, EDGE)
    management_db = ManagementDb(managed.folder(MGMT))
    management_db.history.publish(1, lambda slot: managed.version(slot.number), "ada", "because", at=NOW)
    management_db.close()
    assert source_of(managed.organisation.file, EDGE).load().number == 2


def test_history_of_another_network_is_refused(managed: Managed) -> None:
    source = source_of(managed.organisation.file, MGMT)
    assert isinstance(source, PublishedVersion)
    source.management_db.close()
    record = managed.holding(MGMT).record
    assert record is not None
    (managed.folder(MGMT) / DATABASE).unlink()
    with pytest.raises(OperatorError, match="this is another history of versions"):
        Managed(managed.organisation, managed.where)
    with pytest.raises(OperatorError, match="this is another history of versions"):
        source_of(managed.organisation.file, MGMT)


def test_history_without_a_version_is_empty(managed: Managed) -> None:
    (managed.folder(MGMT) / DATABASE).unlink()
    for file in (managed.folder(MGMT) / "state").iterdir():
        file.unlink()
    (managed.folder(MGMT) / "servers" / f"{MGMT}.held").unlink()
    management_db = ManagementDb(managed.folder(MGMT))
    with pytest.raises(OperatorError, match="there is no published version here"):
        PublishedVersion(management_db, managed.holding(MGMT)).load()
    management_db.close()
    assert published_in(managed.folder(MGMT)) is None


def test_version_that_is_not_in_the_history_is_refused(managed: Managed) -> None:
    management_db = ManagementDb(managed.folder(MGMT))
    assert version_of(management_db, 1).number == 1
    with pytest.raises(OperatorError):
        version_of(management_db, 2)
    management_db.close()


def test_server_beside_management_needs_the_root(managed: Managed) -> None:
    folder = managed.folder(MGMT)
    (folder / "ca/ledger.db").rename(folder / "ca/away")
    assert source_of(managed.organisation.file, FE1).load().number == 1
    (folder / "ca/root.pem").unlink()
    with pytest.raises(OperatorError, match="it is needed to check the published ver"):
        source_of(managed.organisation.file, FE2)


@pytest.mark.peer("postgresql")
def test_version_in_a_shared_database_counts_only_if_management_has_signed_it(
    managed: Managed, postgres_url: str
) -> None:
    """An attacker who can write to the database can neither load a topology here, nor have its content signed by a later act."""
    move(managed.folder(MGMT), SharedDatabase(postgres_url, MGMT), "ada", datetime.now(UTC))
    chain = managed.credentials(f"{MGMT}.signer")
    forge = Forge(datetime.now(UTC)).organisation(EXAMPLE)
    wish = Wish(MGMT, dns=(MGMT,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90))
    mallory = Forge(datetime.now(UTC)).forge(wish, forge)
    management_db = ManagementDb(managed.folder(MGMT))
    assert isinstance(mallory.key, ec.EllipticCurvePrivateKey)
    for base, signed in (
        (1, managed.signed(managed.payload(2), chain)),
        (2, sign(managed.payload(3), KIND, mallory.chain, mallory.key)),
    ):
        management_db.history.publish(base, lambda _, jws=signed: jws, "x", "y", at=datetime.now(UTC))  # type: ignore[misc]
    assert version_of(management_db, 2).number == 2
    with pytest.raises(OperatorError, match="was not signed by management"):
        version_of(management_db, 3)
    source = source_of(managed.organisation.file, MGMT)
    assert isinstance(source, PublishedVersion)
    assert source.load().number == 2
    assert "version 3 of the management database does not count here" in source.fault
    source.management_db.close()
    management_db.close()
