"""Which release has written the files of a host, and which releases run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sipmesh.cli.doctor.check import Check, State
from sipmesh.cli.doctor.releases import NO_REPORT, file_checks, pool_checks, running_checks
from sipmesh.database.schema import USERS
from sipmesh.storage.location_service.bindings import SCHEMA_VERSION, BindingStore
from sipmesh.storage.users.user_database import Users
from upgrades.recorded_folder import recorded

FE1, FE2, POOL = "fe1.example.com", "fe2.example.com", "pool1.example.com"


def checks(folder: Path) -> list[Check]:
    """The checks of the files in *folder*."""
    return [*file_checks(folder, [folder / "state" / "bindings.db"])]


def execute(file: Path, statement: str) -> None:
    """Change a database."""
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(statement)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with users and registrations, as this release writes them."""
    (tmp_path / "state").mkdir()
    Users(tmp_path / "users.db").close()
    BindingStore(tmp_path / "state" / "bindings.db").close()
    return tmp_path


def test_files_of_this_release_are_good(folder: Path) -> None:
    [check] = checks(folder)
    assert check.state is State.GOOD


def test_split_of_a_pool_is_reported_before_the_update(folder: Path) -> None:
    """The remedy is followed: this release opens the file."""
    file = folder / "state" / "bindings.db"
    execute(file, "PRAGMA user_version = 1")
    [check] = checks(folder)
    assert check.state is State.WARNING
    assert "a user of one is away for the others" in check.told
    assert check.remedy == "restart all servers of the pool right after each other"
    BindingStore(file).close()
    assert [one.state for one in checks(folder)] == [State.GOOD]


def test_tables_that_the_next_start_brings_forward_are_reported_with_the_backup(folder: Path) -> None:
    execute(folder / "users.db", "UPDATE users_schema SET version_num = '0001'")
    [check] = checks(folder)
    assert check.state is State.WARNING
    assert f"from revision 0001 to {USERS.head}" in check.told
    assert "sipmesh backup FILE" in check.remedy


def test_files_of_a_newer_release_are_faults(folder: Path) -> None:
    execute(folder / "users.db", "UPDATE users_schema SET version_num = '9999'")
    execute(folder / "state" / "bindings.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    (folder / "state" / "format").write_text("99\n")
    found = checks(folder)
    assert [check.state for check in found] == 3 * [State.BAD]
    assert all("install the release that wrote them" in check.remedy for check in found)


def test_folder_of_the_first_build_tells_what_the_update_does(tmp_path: Path) -> None:
    recorded("3f4f5b6", tmp_path)
    assert any("a user of one is away for the others" in check.told for check in checks(tmp_path))


def test_server_of_another_release_than_the_installed_one_is_reported() -> None:
    older, oldest = running_checks("0.2.0", {FE1: "0.1.0", FE2: "", "mgmt.example.com": "0.2.0"})
    assert older.told == f"{FE1} runs release 0.1.0, and 0.2.0 is installed"
    assert NO_REPORT in oldest.told
    assert older.remedy == f"restart it: systemctl restart sipmesh@{FE1}"


def test_pool_of_two_releases_is_reported_once() -> None:
    [check] = pool_checks([(POOL, FE1, "0.1.0"), (POOL, FE2, "0.2.0"), ("sip.example.com", "edge1", "0.2.0")])
    assert check.told == f"{POOL} has servers of 2 releases (0.1.0: {FE1}; 0.2.0: {FE2})"
    assert [*pool_checks([(POOL, FE1, "0.2.0"), (POOL, FE2, "0.2.0")])] == []
