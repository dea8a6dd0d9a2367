from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.backup.create import back_up
from sipmesh.storage.backup.restore import Restored, restore
from sipmesh.storage.backup.vault import CHUNK
from sipmesh.storage.management_db import ManagementDb
from storage.backups import LATER, PASSPHRASE, cheap_vaults
from storage.databases import POSTGRESQL, WIDE_IN_POSTGRESQL
from storage.publishing import made
from support.network import build_example


@pytest.fixture(name="url", params=WIDE_IN_POSTGRESQL)
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: SQLite, and PostgreSQL."""
    if request.param == POSTGRESQL:
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/kept.db"


@pytest.fixture(name="file")
def _file(url: str) -> Path:
    """The file of the database, for tests with SQLite only."""
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture(name="cheap_vaults", autouse=True)
def _cheap_vaults() -> Iterator[None]:
    """Derive the keys of backups in a millisecond instead of half a second; `test_vault` has the cost that is the default."""
    with cheap_vaults():
        yield


@pytest.fixture(name="backed_up", scope="session")
def _backed_up(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """An organisation with two versions of its topology, and a ledger that needs several chunks."""
    organisation = build_example(tmp_path_factory.mktemp("old") / "example.test")
    management_db = ManagementDb(organisation.folder)
    for base in range(2):
        management_db.history.publish(base, made, "ada", "because", at=datetime.now(UTC))
    management_db.close()
    (organisation.folder / "ca" / "notes.bin").write_bytes(os.urandom(2 * CHUNK))
    (organisation.folder / "state").mkdir(exist_ok=True)
    (organisation.folder / "state" / "fe1.token-key").write_bytes(b"secret of a start")
    return organisation


@pytest.fixture(name="backup", scope="session")
def _backup(backed_up: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kept") / "example.backup"
    with cheap_vaults():
        back_up(backed_up.file, file, PASSPHRASE, datetime.now(UTC))
    return file


@pytest.fixture(name="back", scope="session")
def _back(backup: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Restored]:
    """The backup, restored once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("new") / "example.test"
    return folder, restore(backup, folder, PASSPHRASE, "ada (1000)", datetime.now(UTC) + LATER)
