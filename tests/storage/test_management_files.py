"""The rows of sealed files: by server, in the order of their numbers, written by the leader only."""

from __future__ import annotations

import pytest

from sipmesh.database.connection import Database
from sipmesh.database.lease import Lease
from sipmesh.errors import NotLeadingError
from sipmesh.storage.management_files import ManagementFiles, StoredFile

A, B = "mgmt1.example.test", "mgmt2.example.test"


@pytest.fixture(name="database")
def _database(url: str) -> Database:
    return Database(url, "things")


def row(name: str, number: int, content: bytes = b"sealed") -> StoredFile:
    return StoredFile(name, number, f"digest of {content!r}", content)


def test_file_is_replaced_and_its_number_rises(database: Database) -> None:
    lease = Lease(database, A)
    assert lease.claim()
    files = ManagementFiles(database, lease)
    assert files.last_number() == 1 - 1
    files.put(B, [row("ca/root.pem", 1), row("ca/issuing.key", 2)])
    files.put(A, [row("ca/root.pem", 3)])
    files.put(B, [row("ca/root.pem", 4, b"changed")])
    assert [(one.name, one.number) for one in files.since(B, 0)] == [("ca/issuing.key", 2), ("ca/root.pem", 4)]
    assert [one.document for one in files.since(B, 2)] == [b"changed"]
    assert files.digests(A) == {"ca/root.pem": "digest of b'sealed'"}
    assert files.last_number() == 5 - 1


def test_only_the_leader_writes(database: Database) -> None:
    leader, follower = Lease(database, A), Lease(database, B)
    assert leader.claim()
    with pytest.raises(NotLeadingError):
        ManagementFiles(database, follower).put(A, [row("ca/root.pem", 1)])
    assert ManagementFiles(database, follower).since(A, 0) == []
