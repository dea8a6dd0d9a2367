"""A management host with another address: a version with the address, and the draft too if it can be changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.relocation import publish_moved
from sipmesh.server.replication.topology_source import published_in
from sipmesh.storage.management_db import ManagementDb
from sipmesh.topology.view import view
from support.managed import MGMT, Managed
from support.network import FE1

ADDRESS = "127.0.0.9"


def moved(folder: Path) -> str:
    """Publish the new address; return why the draft does not have it, "" if it has."""
    relocation = publish_moved(folder, ADDRESS, "ada (1)", datetime.now(UTC))
    assert relocation.version.number == 2
    return relocation.draft


def test_new_version_and_draft_have_the_address(managed: Managed) -> None:
    assert moved(managed.folder(MGMT)) == ""
    published = published_in(managed.folder(MGMT))
    assert published is not None
    for loaded in (published, managed.organisation.load()):
        seen = view(loaded, FE1)
        assert seen.addresses[MGMT][0] == ADDRESS
        assert seen.addresses[FE1][0] != ADDRESS


def test_draft_with_problems_is_not_changed(managed: Managed) -> None:
    managed.organisation.file.write_text("sipmesh: 1\n")
    assert moved(managed.folder(MGMT))
    assert managed.organisation.file.read_text() == "sipmesh: 1\n"


def test_network_without_a_version_is_not_relocated(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="there is no published version here"):
        moved(example.folder)
    ManagementDb(example.folder).close()
    with pytest.raises(OperatorError, match="there is no published version here"):
        moved(example.folder)
