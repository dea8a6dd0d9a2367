"""What a management server has accepted, and how it judges the versions of its database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sipmesh.database.shared import DATABASE
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion, document_in_force, roots_of, version_of
from sipmesh.storage.history import Slot, Version, digest_of, lacks
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.publication import KIND, Publication
from storage.databases import tampered
from support.approving import Approver, approve, drafted, rule
from support.managed import MGMT, Managed

NOW = datetime.now(UTC)
ADA, BEN = Approver("ada"), Approver("ben")


@pytest.fixture(name="versions")
def _versions(managed: Managed) -> Iterator[PublishedVersion]:
    """A management server with version 1."""
    versions = PublishedVersion(ManagementDb(managed.folder(MGMT)), managed.holding(MGMT))
    versions.begin()
    yield versions
    versions.management_db.close()


def store(versions: PublishedVersion, managed: Managed, **changes: object) -> Version:
    """Store the draft as the next version of the database, as another management server does."""
    history = versions.management_db.history
    head = history.head()
    assert head is not None

    def make(slot: Slot) -> bytes:
        return managed.version(slot.number, previous=slot.previous, **changes)

    return history.publish(head.number, make, "ada", "why", at=NOW)


def caught_up(versions: PublishedVersion) -> int:
    return versions.catch_up(versions.load(), NOW).number


def test_newer_version_is_stored_and_counts_at_the_next_start(managed: Managed, versions: PublishedVersion) -> None:
    assert caught_up(versions) == 1
    store(versions, managed)
    store(versions, managed)
    assert caught_up(versions) == 3
    assert (versions.load().number, versions.fault) == (3, "")


def test_refused_version_is_named_and_judged_again_only_after_a_while(
    managed: Managed, versions: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = store(versions, managed, organisation="Other")
    assert caught_up(versions) == 1
    assert (versions.refused, "version 2 of the management database" in versions.fault) == ({refused.digest}, True)
    judged: list[bytes] = []
    monkeypatch.setattr(DocumentStore, "newer", lambda *given: judged.append(given[1]))
    assert (caught_up(versions), judged) == (1, [])


def test_refused_version_prevents_no_later_one(managed: Managed, versions: PublishedVersion) -> None:
    store(versions, managed, organisation="Other")
    store(versions, managed)
    assert (caught_up(versions), versions.fault, versions.refused) == (3, "", frozenset())


def test_version_between_is_loaded_if_the_newest_is_refused(managed: Managed, versions: PublishedVersion) -> None:
    store(versions, managed)
    store(versions, managed, organisation="Other")
    assert caught_up(versions) == 2
    assert "version 3 of the management database does not count here" in versions.fault


def test_version_that_was_signed_under_another_number_is_refused(managed: Managed, versions: PublishedVersion) -> None:
    history = versions.management_db.history
    history.publish(1, lambda _: managed.version(9), "ada", "why", at=NOW)
    with pytest.raises(RemoteError, match="it was signed as version 9"):
        versions.accept(history.get(2), versions.load(), NOW)
    with pytest.raises(OperatorError, match="it was signed as version 9"):
        version_of(versions.management_db, 2)


def test_newest_shows_a_version_that_is_not_stored_yet(managed: Managed, versions: PublishedVersion) -> None:
    store(versions, managed)
    assert (versions.newest(NOW).number, versions.load().number) == (2, 1)
    store(versions, managed, organisation="Other")
    assert versions.newest(NOW).number == 1


def test_own_version_is_stored_without_approvals(managed: Managed, versions: PublishedVersion) -> None:
    managed.edit(lambda document: document.update(approvals=rule(ADA, BEN)))
    versions.keep_own(store(versions, managed, serial=1))
    versions.keep_own(version := store(versions, managed, serial=2))
    assert versions.load().number == 3
    other = Version(version.number, "0" * 64, version.at, version.by, version.why, version.forced)
    with pytest.raises(OperatorError, match="version 3 in the history was changed"):
        versions.keep_own(other)


def test_database_that_lacks_the_accepted_version_or_our_last_audit_line_is_older(
    managed: Managed, versions: PublishedVersion
) -> None:
    versions.keep_own(store(versions, managed))
    versions.look_back()
    assert versions.lost == ""
    tampered(
        f"sqlite:///{managed.folder(MGMT) / DATABASE}", "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
    )
    versions.look_back()
    assert versions.lost == "the management database lacks an audit line that this host has added"
    tampered(f"sqlite:///{managed.folder(MGMT) / DATABASE}", "DELETE FROM versions WHERE number = 2")
    versions.look_back()
    assert versions.lost == lacks(2)


def test_earlier_version_is_found_by_the_digests_in_the_later_versions(
    managed: Managed, versions: PublishedVersion
) -> None:
    store(versions, managed)
    store(versions, managed)
    caught_up(versions)
    assert [versions.publication(number).number for number in (0, 1, 2, 3)] == [3, 1, 2, 3]
    with pytest.raises(OperatorError, match="version 4 in the history"):
        versions.publication(4)
    versions.management_db.history.publish(
        3, lambda _: managed.version(4), "ada", "why", at=NOW
    )  # names none before it
    caught_up(versions)
    with pytest.raises(OperatorError, match="version 3 in the history was changed"):
        versions.publication(3)


def forget(managed: Managed, number: int, jws: bytes) -> DocumentStore:
    """What an earlier release has stored of version *number*: a record, and no document."""
    for file in (managed.folder(MGMT) / "state").glob(f"{MGMT}.*"):
        file.unlink()
    (managed.folder(MGMT) / "servers" / f"{MGMT}.held").unlink()
    documents = managed.holding(MGMT)
    documents.follow(number, jws)
    return managed.holding(MGMT)


def test_server_of_an_earlier_release_begins_with_the_newest_approved_version(managed: Managed) -> None:
    database = ManagementDb(managed.folder(MGMT))
    versions = PublishedVersion(database, managed.holding(MGMT))
    managed.edit(lambda document: document.update(approvals=rule(ADA, BEN)))
    approve(managed, 1, ADA, BEN)
    approvals = {operator.name: operator.signs(drafted(managed, 1).encode()) for operator in (ADA, BEN)}
    store(versions, managed, serial=1, approvals=approvals)
    managed.edit(lambda document: document["sip_domains"].append("evil.test"))
    store(versions, managed, serial=2)
    versions = PublishedVersion(database, forget(managed, 1, database.history.get(1).jws))
    versions.begin()
    assert versions.load().number == 2
    database.close()


def test_document_in_force_is_the_accepted_one(managed: Managed, versions: PublishedVersion) -> None:
    accepted = versions.documents.document()
    store(versions, managed)
    assert document_in_force(versions.management_db) == accepted
    caught_up(versions)
    assert Publication.decode(open_signed(document_in_force(versions.management_db), KIND).payload).number == 2


def test_before_the_first_start_the_newest_version_of_the_database_is_in_force(managed: Managed) -> None:
    forget(managed, 1, managed.published())
    (managed.folder(MGMT) / "servers" / f"{MGMT}.held").unlink()
    database = ManagementDb(managed.folder(MGMT))
    versions = PublishedVersion.of(database)
    assert versions is not None
    assert versions.documents.name == MGMT
    assert digest_of(document_in_force(database)) == digest_of(managed.published())
    with pytest.raises(OperatorError, match="there is no published version here"):
        versions.load()
    versions.begin()
    assert versions.load().number == 1
    database.close()


def test_first_version_of_a_host_without_a_ca_has_its_own_anchors(managed: Managed) -> None:
    forget(managed, 1, managed.published())
    folder = managed.folder(MGMT)
    roots = roots_of(folder)
    (folder / "ca/ledger.db").rename(folder / "ca/away")
    (folder / "ca/root.pem").unlink()
    versions = PublishedVersion(ManagementDb(folder), managed.holding(MGMT))
    versions.begin()
    assert list(versions.load().authority.anchors) == roots
    versions.management_db.close()
