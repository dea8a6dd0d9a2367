"""The topology that workers get is that in force, also if the file has changed meanwhile."""

from __future__ import annotations

import json

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.server.workers.given_version import GivenVersion, packed
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.document.load import load
from sipmesh.topology.document.parts.stores import Valkey
from support.managed import MGMT, Managed


def test_draft_in_force_is_given_though_its_file_is_broken(example: Organisation) -> None:
    before = load(example.file)
    given = GivenVersion(json.loads(json.dumps(packed(before))))
    example.file.write_text("nonsense: 1\n")
    after = given.load()
    assert (after.digest, after.number, after.file) == (before.digest, 0, before.file)
    assert after.topology == before.topology
    given.given = {**given.given, "content": "nonsense: 1\n"}
    with pytest.raises(OperatorError):
        given.load()


def test_storage_of_the_start_is_given_beside_the_version(example: Organisation) -> None:
    loaded = load(example.file)
    storage = loaded.topology.storage.model_copy(
        update={"bindings": "valkey://127.0.0.1", "valkey": Valkey(user="pool1")}
    )
    assert GivenVersion(json.loads(json.dumps(packed(loaded, storage)))).storage == storage
    assert GivenVersion(json.loads(json.dumps(packed(loaded)))).storage is None


def test_published_version_is_given_with_its_anchors(managed: Managed) -> None:
    folder = managed.folder(MGMT)
    management_db = ManagementDb(folder)
    before = PublishedVersion(management_db, managed.holding(MGMT)).load()
    management_db.close()
    after = GivenVersion(json.loads(json.dumps(packed(before)))).load()
    assert (after.number, after.digest) == (1, before.digest)
    assert after.authority.anchors == before.authority.anchors
