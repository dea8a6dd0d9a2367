"""A management host with another address: a version that says so, and the draft as well where it can."""

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
    """Publish the new address; gives why the draft does not have it, "" where it does."""
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


def test_draft_that_is_not_in_order_stays_as_it_is(managed: Managed) -> None:
    managed.organisation.file.write_text("sipmesh: 1\n")
    assert moved(managed.folder(MGMT))
    assert managed.organisation.file.read_text() == "sipmesh: 1\n"


def test_network_that_was_never_published_is_not_moved(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="there is no published version here"):
        moved(example.folder)
    ManagementDb(example.folder).close()
    with pytest.raises(OperatorError, match="there is no published version here"):
        moved(example.folder)
